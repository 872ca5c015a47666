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

import errno
import os

from neutronclient.common import exceptions as neutron_exceptions
from nova import exception as nova_exception
from nova.network import model as network_model

from novadocker.virt.docker import buildfaults
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker import imagestore
from tests import base
from tests.unit import test_spec

FULL = 'write /x: %s' % os.strerror(errno.ENOSPC).lower()


class BuildFaultsCase(base.TestCase):
    def _fail(self, where, error):
        with where(test_spec.instance()):
            raise error

    def assertAborts(self, where, error):
        raised = self.assertRaises(nova_exception.BuildAbortException,
                                   self._fail, where, error)
        self.assertIn(str(error), str(raised))
        self.assertIs(error, raised.__cause__)

    def assertPasses(self, where, error):
        self.assertIs(error, self.assertRaises(
            type(error), self._fail, where, error))


class GiveUpTest(BuildFaultsCase):
    def test_what_every_host_would_meet(self):
        for error in (
                exception.InvalidSpec(reason='no such program'),
                exception.Conflict(reason='name taken'),
                exception.LoadError(reason='duplicates of file paths'),
                imagestore.DamagedData(image_id='1', reason='hash'),
                nova_exception.ImageNotFound(image_id='1'),
                nova_exception.VirtualInterfaceCreateException(),
                nova_exception.InstanceNotFound(instance_id='1')):
            self.assertAborts(buildfaults.give_up, error)

    def test_what_another_host_may_not_meet(self):
        for error in (
                exception.LoadError(reason=FULL),
                exception.EngineError(reason='odd'),
                exception.EngineUnavailable(url='unix://x', reason='gone'),
                imagestore.DownloadError(image_id='1', reason='broke off')):
            self.assertPasses(buildfaults.give_up, error)


class BlamedTest(BuildFaultsCase):
    def test_refusals_of_any_status(self):
        for kind in (exception.EngineError, exception.InvalidSpec,
                     exception.NotFound, exception.Conflict):
            self.assertAborts(buildfaults.blamed_on_the_server,
                              kind(reason='unable to find user x'))

    def test_troubles_of_the_host(self):
        for error in (
                exception.EngineError(reason=FULL),
                exception.ImageNotFound(reason='removed meanwhile'),
                exception.EngineUnavailable(url='unix://x', reason='gone')):
            self.assertPasses(buildfaults.blamed_on_the_server, error)


class AwaitNetworksTest(BuildFaultsCase):
    def _await(self, error):
        class Failing(network_model.NetworkInfo):
            def __len__(self):
                raise error

        buildfaults.await_networks(test_spec.instance(), Failing())

    def test_none(self):
        buildfaults.await_networks(test_spec.instance(), None)

    def test_request_that_neutron_refuses(self):
        for error in (neutron_exceptions.BadRequest(message='not a PQDN'),
                      neutron_exceptions.Forbidden(message='not yours'),
                      nova_exception.PortLimitExceeded(),
                      nova_exception.PortNotFound(port_id='1')):
            raised = self.assertRaises(nova_exception.BuildAbortException,
                                       self._await, error)
            self.assertIn(str(error), str(raised))

    def test_neutron_or_the_host_is_at_fault(self):
        for error in (neutron_exceptions.InternalServerError(message='x'),
                      neutron_exceptions.ConnectionFailed(reason='x'),
                      nova_exception.PortBindingFailed(port_id='1'),
                      OSError('x')):
            self.assertIs(error, self.assertRaises(
                type(error), self._await, error))
