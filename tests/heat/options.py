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

"""The options of ``[docker_resource]``, for one test."""

from oslo_config import fixture as config_fixture

from heat_docker import conf


class Options(config_fixture.Config):
    """``set`` changes options; all are as before after the test."""

    def __init__(self):
        super().__init__(conf.CONF)

    def set(self, **options):
        self.config(group=conf.GROUP.name, **options)

    @property
    def group(self):
        return self.conf[conf.GROUP.name]
