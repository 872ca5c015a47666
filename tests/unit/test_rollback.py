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

from unittest import mock

from nova import exception as nova_exception
from novadocker.virt.docker import rollback
from tests import base


class RollbackTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.done = []

    def test_success_undoes_nothing(self):
        with rollback.Rollback(None) as undo:
            undo.push('first', self.done.append, 1)
        self.assertEqual([], self.done)

    def test_failure_undoes_newest_first(self):
        def build():
            with rollback.Rollback(None) as undo:
                undo.push('first', self.done.append, 1)
                undo.push('second', self.done.append, 2)
                raise nova_exception.InstanceNotFound(instance_id='x')

        self.assertRaises(nova_exception.InstanceNotFound, build)
        self.assertEqual([2, 1], self.done)

    def test_failing_undo_neither_stops_the_rest_nor_hides_the_error(self):
        def build():
            with rollback.Rollback(None) as undo:
                undo.push('first', self.done.append, 1)
                undo.push('second', {}.pop, 'missing')
                raise ValueError('the cause')

        self.assertRaisesRegex(ValueError, 'the cause', build)
        self.assertEqual([1], self.done)


class EachStepTest(base.TestCase):
    def test_runs_all_and_raises_the_first_error(self):
        done = []

        def teardown():
            with rollback.each_step(None) as step:
                step('first', {}.pop, 'first')
                step('second', done.append, 2)
                step('third', {}.pop, 'third')

        self.assertRaisesRegex(KeyError, 'first', teardown)
        self.assertEqual([2], done)

    def test_success_raises_nothing(self):
        done = []
        with rollback.each_step(None) as step:
            step('only', done.append, 1)
        self.assertEqual([1], done)


class AlwaysUndoTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.done = []

    def test_success_is_undone_too(self):
        with rollback.always_undo(None, 'only', self.done.append, 1):
            self.assertEqual([], self.done)
        self.assertEqual([1], self.done)

    def test_failure_is_undone_and_leaves_unchanged(self):
        def work():
            with rollback.always_undo(None, 'only', self.done.append, 1):
                raise ValueError('the cause')

        self.assertRaisesRegex(ValueError, 'the cause', work)
        self.assertEqual([1], self.done)

    def test_failing_undo_does_not_hide_the_error(self):
        def work():
            with rollback.always_undo(None, 'only', {}.pop, 'missing'):
                raise ValueError('the cause')

        self.assertRaisesRegex(ValueError, 'the cause', work)

    def test_failing_undo_does_not_spoil_success(self):
        with mock.patch.object(rollback.LOG, 'warning') as warning:
            with rollback.always_undo(None, 'only', {}.pop, 'missing'):
                self.done.append('block')
        self.assertEqual(['block'], self.done)
        self.assertIn('only', warning.call_args.args)
