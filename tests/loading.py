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

"""Ask a fresh interpreter how it loads the driver by its literal option."""

import json
import pathlib
import subprocess
import sys
import tempfile

NOVA_CONF = """
[DEFAULT]
compute_driver = novadocker.virt.docker.DockerDriver
[docker]
host_url = unix:///nonexistent/docker.sock
"""

# What nova-compute does, in its order, up to the driver's constructor.
_PROBE = """
import json
import sys
at_start = sorted({name.partition('.')[0] for name in sys.modules})
from nova import monkey_patch
monkey_patch.patch(backend='threading')
from nova import config
import nova.virt.driver
config.parse_args(['nova-compute', '--config-file', sys.argv[1]])
driver = nova.virt.driver.load_compute_driver(None)

import nova.virt.novadocker.conf
import nova.virt.novadocker.virt.docker as alias
import nova.virt.novadocker.virt.docker.engine.model as alias_model
import novadocker.conf
import novadocker.virt.docker as real
from novadocker.virt.docker.engine import model as real_model
print(json.dumps({
    'at_start': at_start,
    'eventlet': 'eventlet' in sys.modules,
    'is_real': type(driver) is real.DockerDriver,
    'same_package': alias is real,
    'same_module': alias_model is real_model,
    'same_conf': nova.virt.novadocker.conf is novadocker.conf,
    'spec_name': real_model.__spec__.name,
    'class_module': real_model.Container.__module__,
    'nova': nova.__file__,
    'novadocker': novadocker.__file__,
}))
"""


def run(python, *args):
    """Run away from the source tree; return what it printed."""
    with tempfile.TemporaryDirectory() as directory:
        finished = subprocess.run(
            [python, '-I', *args], cwd=directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if finished.returncode:
        raise AssertionError(finished.stderr)
    return finished.stdout


def probe(python=sys.executable):
    """Load the driver as nova-compute does; return what was found."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, 'nova.conf')
        path.write_text(NOVA_CONF)
        return json.loads(run(python, '-c', _PROBE, str(path)))
