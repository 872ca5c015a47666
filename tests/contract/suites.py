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

"""Makes test cases of contracts: each suite bound to an implementation."""

import types


def bound(contract: types.ModuleType, binding: type,
          module: str) -> dict[str, type]:
    """A TestCase for every suite of a contract, by its name.

    So no suite is forgotten for one of the implementations.

    :param contract: module with a class ``Contract`` and its subclasses,
        each named ``<What>Contract``
    :param binding: a TestCase that brings what ``Contract`` asks for
    :param module: where the test cases shall be found
    """
    suites = (suite for suite in vars(contract).values()
              if isinstance(suite, type) and suite is not contract.Contract
              and issubclass(suite, contract.Contract))
    return {name: type(name, (suite, binding), {'__module__': module})
            for suite in suites
            for name in [suite.__name__.replace('Contract', 'Test')]}
