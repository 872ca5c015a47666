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


"""Debian packages and the virtualenvs."""

import hashlib
import os
import pathlib

from quickstart import heat
from quickstart import settings as settings_
from quickstart import shell

DEBIAN = (
    'busybox-static', 'ca-certificates', 'docker.io', 'dropbear-bin',
    'ethtool', 'git', 'haproxy', 'iproute2', 'iptables', 'iputils-ping',
    'mariadb-server', 'openssh-client', 'openvswitch-switch', 'ovn-central',
    'ovn-host', 'python3-venv', 'rabbitmq-server', 'uwsgi-core',
    'uwsgi-plugin-python3')

# The driver's own requirements are among them: it is installed alone.
_REQUIREMENTS = (settings_.QUICKSTART / 'requirements.txt',
                 settings_.CHECKOUT / 'requirements.txt')
_CONSTRAINTS = settings_.QUICKSTART / 'constraints.txt'

_POLICY = pathlib.Path('/usr/sbin/policy-rc.d')
_POLICY_TEXT = """\
#!/bin/sh
# No daemon starts while packages are installed.
exit 101
"""


def missing(settings) -> list[str]:
    """The Debian packages that are not installed."""
    listed = shell.output(settings, (
        'dpkg-query', '--show', '--showformat',
        '${Package} ${db:Status-Status}\n', *DEBIAN), check=False)
    if not listed:
        listed = _listed_one_by_one(settings)
    installed = {line.split()[0] for line in listed.splitlines()
                 if line.endswith(' installed')}
    return [name for name in DEBIAN if name not in installed]


def _listed_one_by_one(settings) -> str:
    """dpkg-query fails as a whole when one package is unknown to it."""
    return ''.join(shell.output(settings, (
        'dpkg-query', '--show', '--showformat',
        '${Package} ${db:Status-Status}\n', name), check=False)
        for name in DEBIAN)


def debian_installed(settings) -> bool:
    return not missing(settings)


def install_debian(settings) -> str:
    """Install what is missing, without its daemons being started."""
    names = missing(settings)
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        env = {'DEBIAN_FRONTEND': 'noninteractive'}
        shell.run(settings, ('apt-get', 'update'), 'apt', env)
        shell.run(settings, ('apt-get', 'install', '--yes',
                             '--no-install-recommends', *names), 'apt', env)
    finally:
        if ours:
            _POLICY.unlink()
    return '%d packages' % len(names)


def _fingerprint(*files) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _marker(venv: pathlib.Path) -> pathlib.Path:
    """Kept inside the virtualenv, so that it is gone when that is."""
    return venv / 'quickstart-installed'


def _is_current(venv, fingerprint) -> bool:
    marker = _marker(venv)
    return marker.exists() and marker.read_text() == fingerprint


def python_installed(settings) -> bool:
    return _is_current(settings.venv, _cloud_fingerprint())


def _cloud_fingerprint() -> str:
    return _fingerprint(*_REQUIREMENTS, _CONSTRAINTS)


def install_python(settings) -> str:
    """Make the cloud's virtualenv as requirements.txt asks for."""
    _install(settings, settings.venv,
             [word for path in _REQUIREMENTS
              for word in ('--requirement', path)])
    _marker(settings.venv).write_text(_cloud_fingerprint())
    return 'OpenStack and its client'


def install_tempest(settings) -> None:
    """Make the virtualenv of Tempest, unless it is there."""
    fingerprint = _fingerprint(_CONSTRAINTS)
    if not _is_current(settings.tempest_venv, fingerprint):
        _install(settings, settings.tempest_venv, ('tempest',))
        _marker(settings.tempest_venv).write_text(fingerprint)


def heat_installed(settings) -> bool:
    return (_heat_marker(settings).exists() and
            _heat_marker(settings).read_text() == _heat_fingerprint())


def install_heat(settings) -> str:
    """Install Heat and the plugin of this checkout beside the rest."""
    _install(settings, settings.venv, (
        '--constraint', heat.CONSTRAINTS, '--reinstall-package',
        'heat-docker', *heat.REQUIREMENTS))
    _heat_marker(settings).write_text(_heat_fingerprint())
    return 'Heat, its client and DockerInc::Docker::Container'


def _heat_marker(settings) -> pathlib.Path:
    return settings.venv / 'quickstart-heat'


def _heat_fingerprint() -> str:
    return _fingerprint(_CONSTRAINTS, heat.CONSTRAINTS,
                        heat.PLUGIN / 'setup.cfg', *_plugin())


def _plugin() -> list[pathlib.Path]:
    return sorted(heat.PLUGIN.glob('heat_docker/**/*.py'))


def _install(settings, venv, what) -> None:
    """Install in seconds what pip alone takes minutes for."""
    python = venv / 'bin' / 'python'
    if not python.exists():
        shell.run(settings, ('/usr/bin/python3', '-m', 'venv', venv), 'pip')
    if not os.path.exists(settings.tool('uv')):
        shell.run(settings, (
            python, '-m', 'pip', 'install', '--constraint', _CONSTRAINTS,
            'uv'), 'pip', _pip_environment())
    shell.run(settings, (
        settings.tool('uv'), 'pip', 'install', '--python', python,
        '--compile-bytecode', '--constraint', _CONSTRAINTS, *what), 'pip',
        _uv_environment(settings))


def _pip_environment() -> dict[str, str]:
    """The user's settings for where packages come from."""
    names = ('HOME', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE',
             'http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY',
             'HTTPS_PROXY', 'NO_PROXY')
    return {name: value for name, value in os.environ.items()
            if name in names or name.startswith(('PIP_', 'UV_'))}


def _uv_environment(settings) -> dict[str, str]:
    """pip's package sources, said in the way of uv, which reads its own.

    Whom the machine trusts, uv trusts as well, as pip does. Versions are
    pinned, so it is safe to take a package from any of them.
    """
    sources = _pip_sources(settings)
    env = {'UV_INDEX_STRATEGY': 'unsafe-best-match',
           'UV_SYSTEM_CERTS': 'true'}
    for name, variable in (('index-url', 'UV_DEFAULT_INDEX'),
                           ('extra-index-url', 'UV_INDEX'),
                           ('find-links', 'UV_FIND_LINKS'),
                           ('cert', 'SSL_CERT_FILE')):
        if sources.get(name):
            env[variable] = ' '.join(sources[name].split())
    return {**env, **_pip_environment(),
            'UV_CACHE_DIR': str(settings.state / 'uv-cache')}


def _pip_sources(settings) -> dict[str, str]:
    """What "pip config list" says, by the option's name."""
    lines = shell.output(settings, (
        '/usr/bin/python3', '-m', 'pip', 'config', 'list'),
        _pip_environment(), check=False)
    if not lines:
        lines = shell.output(settings, (
            settings.venv / 'bin/python', '-m', 'pip', 'config', 'list'),
            _pip_environment(), check=False)
    sources = {}
    for line in lines.splitlines():
        key, _, value = line.partition('=')
        value = value.strip().strip("'\"").replace('\\n', ' ')
        sources[key.rsplit('.', 1)[-1].strip()] = value
    return sources


def project_installed(settings) -> bool:
    return _is_current_project(settings) == _sources(settings)


def _is_current_project(settings) -> str | None:
    marker = settings.venv / 'quickstart-project'
    return marker.read_text() if marker.exists() else None


def _sources(settings) -> str:
    """Changes when the project has to be installed anew."""
    digest = hashlib.sha256(b'dev' if settings.dev else b'')
    for path in _packaging() if settings.dev else _packaging() + _modules():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _packaging() -> list[pathlib.Path]:
    checkout = settings_.CHECKOUT
    return sorted([*checkout.glob('*.cfg'), *checkout.glob('*.toml'),
                   *checkout.glob('tools/packaging/*.py')])


def _modules() -> list[pathlib.Path]:
    return sorted(settings_.CHECKOUT.glob('novadocker/**/*.py'))


def newest_source(service: str) -> float:
    """When what this checkout has of a service was last changed.

    :returns: seconds since 1970; 0 for a service that runs nothing of it.
    """
    sources = {'nova-compute': _modules(), 'heat-engine': _plugin()}
    return max((path.stat().st_mtime for path in sources.get(service, ())),
               default=0)


def install_project(settings) -> str:
    """Install the driver from the checkout."""
    what = ['--reinstall-package', 'novadocker']
    what += ['--editable'] if settings.dev else []
    shell.run(settings, (
        settings.tool('uv'), 'pip', 'install', '--no-deps', '--python',
        settings.tool('python'), *what, settings_.CHECKOUT), 'pip',
        {**_uv_environment(settings), **_trusting_git()})
    shell.run(settings, (
        settings.tool('python'), '-c',
        'import nova.virt.novadocker.virt.docker'), 'pip')
    (settings.venv / 'quickstart-project').write_text(_sources(settings))
    return 'editable' if settings.dev else 'a copy of %s' % settings_.CHECKOUT


def _trusting_git() -> dict[str, str]:
    """Root may ask git for the version of a checkout of another user."""
    return {'GIT_CONFIG_COUNT': '1',
            'GIT_CONFIG_KEY_0': 'safe.directory',
            'GIT_CONFIG_VALUE_0': str(settings_.CHECKOUT)}
