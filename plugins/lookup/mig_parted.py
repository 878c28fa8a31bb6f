# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: mig_parted
short_description: Reads a configuration file of NVIDIA's mig-parted
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Reads a document of mig-parted, version V(v1), on the control node and returns it as it is, for the option
    O(accel.gpu.mig_geometry#module:mig_parted).
  - The whole document is checked, all labels of it. In particular a key that stands twice in one mapping is an error
    that names file and line. Plain YAML readers, mig-parted's own among them, take one of the two silently.
options:
  _terms:
    description:
      - Paths of the files. A relative path is looked for where other lookups look, in the C(files) folders of role
        and play first.
      - Files that are encrypted with Ansible Vault are decrypted.
    type: list
    elements: path
    required: true
notes:
  - Which GPUs the document means, and whether they can do what it asks, is found by the module on each host.
seealso:
  - module: accel.gpu.mig_geometry
"""

EXAMPLES = r"""
- name: Bring the GPUs to the label all-balanced of an existing file
  accel.gpu.mig_geometry:
    mig_parted: "{{ lookup('accel.gpu.mig_parted', 'mig-parted-config.yaml') }}"
    mig_parted_label: all-balanced
  become: true

- name: Show the labels of a file that lies beside the inventory
  ansible.builtin.debug:
    msg: "{{ lookup('accel.gpu.mig_parted', inventory_dir ~ '/mig-parted-config.yaml')['mig-configs'] | list }}"
"""

RETURN = r"""
_list:
  description: One document for each file.
  type: list
  elements: dict
  sample:
    - version: v1
      mig-configs:
        all-balanced:
          - devices: all
            mig-enabled: true
            mig-devices:
              1g.10gb: 2
              2g.20gb: 1
              3g.40gb: 1
"""

import typing as t

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig import parted

_MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, naming where."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> t.Dict[t.Hashable, t.Any]:
        seen: t.Dict[t.Any, int] = {}
        for key_node, _value in node.value:
            # Keys that << brings in may be overridden; that is what it is for.
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, t.Hashable):
                raise WishError(f"line {line}: a key is a list or a mapping; keys are strings")
            if key in seen:
                raise WishError(f'line {line}: key "{key}" stands twice, first in line {seen[key]}; remove one of them')
            seen[key] = line
        return super().construct_mapping(node, deep)


def read(text: str, path: str) -> t.Any:
    """The document in `text`. Raises WishError that begins with `path`."""
    try:
        # The loader is a SafeLoader.
        document = yaml.load(text, Loader=_StrictLoader)
        parted.check(document)
    except yaml.YAMLError as error:
        raise WishError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    except WishError as error:
        raise WishError(f"{path}: {error.message}", **error.facts) from None
    return document


class LookupModule(LookupBase):
    def run(
        self, terms: t.List[str], variables: t.Optional[t.Dict[str, t.Any]] = None, **kwargs: t.Any
    ) -> t.List[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        return [self._read(term, variables) for term in terms]

    def _read(self, term: str, variables: t.Optional[t.Dict[str, t.Any]]) -> t.Any:
        path = self.find_file_in_search_path(variables or {}, "files", term)
        if path is None:
            raise AnsibleLookupError(
                f"accel.gpu.mig_parted: {term} was not found; give a path below files, or a full one"
            )
        try:
            # A file that is encrypted is read from a decrypted copy, which the loader takes away at the end.
            with open(self._loader.get_real_file(path), encoding="utf-8") as stream:
                return read(stream.read(), path)
        except UnicodeDecodeError as error:
            raise AnsibleLookupError(f"accel.gpu.mig_parted: {path}: is no text in UTF-8: {error}") from None
        except WishError as error:
            raise AnsibleLookupError(f"accel.gpu.mig_parted: {error.message}") from None
