# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The judge of started containers."""

from heat.engine import properties as heat_properties
import testtools

from heat_docker import exception
from heat_docker import properties
from heat_docker import watch


class WatchTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.now = 100.0

    def watch(self, grace_s=1.0, **given):
        return watch.Watch(heat_properties.Properties(
            properties.SCHEMA, {'image': 'busybox', **given}), grace_s,
            clock=lambda: self.now)

    def info(self, status='running', started='a', restarts=0, **state):
        return {'RestartCount': restarts, 'State': {
            'Status': status, 'Running': status in ('running', 'restarting'),
            'Restarting': status == 'restarting', 'ExitCode': 0,
            'OOMKilled': False, 'Error': '', 'StartedAt': started, **state}}

    def assertFails(self, words, judge, info):
        error = self.assertRaises(exception.ContainerFailed, judge.done, info)
        self.assertIn(words, str(error))

    def test_up_after_the_grace_period(self):
        judge = self.watch()
        self.assertFalse(judge.done(self.info()))
        self.now += 0.9
        self.assertFalse(judge.done(self.info()))
        self.now += 0.1
        self.assertTrue(judge.done(self.info()))

    def test_no_grace_period(self):
        self.assertTrue(self.watch(0).done(self.info()))

    def test_restart_begins_the_period_anew(self):
        judge = self.watch()
        judge.done(self.info())
        self.now += 1
        self.assertFalse(judge.done(self.info(started='b', restarts=1)))
        self.now += 1
        self.assertTrue(judge.done(self.info(started='b', restarts=1)))

    def test_crash_loop(self):
        judge = self.watch(restart_policy={'Name': 'always'})
        for restarts in range(watch.RESTARTS_TOLERATED):
            self.assertFalse(judge.done(self.info(
                'restarting', restarts=restarts, ExitCode=1)))
        self.assertFails('5 times in a row, the last time with exit code 1',
                         judge, self.info('restarting', restarts=5,
                                          ExitCode=1))

    def test_container_that_came_up_late_is_up(self):
        judge = self.watch()
        judge.done(self.info(started='e', restarts=4))
        self.now += 1
        self.assertTrue(judge.done(self.info(started='e', restarts=9)))

    def test_job(self):
        self.assertTrue(self.watch().done(self.info('exited')))
        for meant_to_stay in ({'tty': True}, {'open_stdin': True},
                              {'restart_policy': {'Name': 'always'}},
                              {'health_check': {'test': ['CMD', 'x']}}):
            self.assertFails('exit code 0', self.watch(**meant_to_stay),
                             self.info('exited'))

    def test_never_started_is_no_job(self):
        self.assertFails('exit code 0', self.watch(), self.info('created'))

    def test_failures_say_why(self):
        self.assertFails('exit code 3', self.watch(),
                         self.info('exited', ExitCode=3))
        self.assertFails('used up its memory', self.watch(),
                         self.info('exited', ExitCode=137, OOMKilled=True))
        self.assertFails('no such device', self.watch(), self.info(
            'exited', ExitCode=128, Error='no such device'))

    def test_health(self):
        judge = self.watch(0, health_check={'test': ['CMD', 'x']})

        def health(status, log=()):
            return self.info(Health={'Status': status, 'Log': list(log)})
        self.assertFalse(judge.done(health('starting')))
        self.assertTrue(judge.done(health('healthy')))
        self.assertFails('fails: no route', judge, health(
            'unhealthy', [{'Output': 'old'}, {'Output': 'no route\n'}]))
        self.assertFails('fails', judge, health('unhealthy'))

    def test_health_of_the_image_is_not_waited_for(self):
        for given in ({}, {'health_check': {'test': ['NONE']}}):
            self.assertTrue(self.watch(0, **given).done(
                self.info(Health={'Status': 'starting', 'Log': []})))
