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

"""What Nova's API tells of a host, on the real engine."""

from tests.functional import nova_case


class HostEngineTest(nova_case.NovaCase):
    backend_class = nova_case.RealBackend

    def setUp(self):
        self.flags(my_ip='192.0.2.10')
        super().setUp()

    def test_details(self):
        answer = self.admin_api.api_get('/os-hypervisors/detail')
        host, = answer.body['hypervisors']
        self.assertIn('load average', host['uptime'])
        self.assertEqual('192.0.2.10', host['host_ip'])
        self.assertEqual('docker', host['hypervisor_type'])
        self.assertEqual(self.host_name, host['hypervisor_hostname'])
