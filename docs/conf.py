"""Settings of the site. Builds without a network: no inventory is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.util import logging

import zsm_store

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "zsm_store"
author = "the zsm_store developers"
project_copyright = author
release = version = zsm_store.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"zsm_store {version}"
html_show_sphinx = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

napoleon_google_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
add_module_names = False

# Every reference has to lead somewhere, except to what is not ours (there is no network
# to look it up) and except single backticks in docstrings, which also name parameters.
nitpicky = True
default_role = "py:obj"
nitpick_ignore_regex = [(r"py:.*", r"(?!zsm_store\.).*"), (r"py:obj", r".*")]


def _check_public_names(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn, and so fail the build, where a public name has no entry."""
    documented = {name.rsplit(".", 1)[-1] for name in env.domains.python_domain.objects}
    for name in sorted(set(zsm_store.__all__) - documented):
        logging.getLogger(__name__).warning("public name %s is not in docs/api", name)


class _AttributeDocs:
    """Keeps the text below an attribute from being taken apart at its first colon.

    Napoleon reads "a rate: not checked" as "type: text", and has no setting against it.
    """

    def __init__(self) -> None:
        self._lines: list[str] | None = None

    def before_napoleon(  # the signature is autodoc's
        self,
        _app: Sphinx,
        what: str,
        _name: str,
        _obj: object,
        _options: object,
        lines: list[str],
    ) -> None:
        self._lines = list(lines) if what in {"attribute", "data"} else None

    def after_napoleon(  # the signature is autodoc's
        self,
        _app: Sphinx,
        _what: str,
        _name: str,
        _obj: object,
        _options: object,
        lines: list[str],
    ) -> None:
        if self._lines is not None:
            lines[:] = self._lines


def setup(app: Sphinx) -> None:
    """Connect what this file adds to the build."""
    app.connect("env-check-consistency", _check_public_names)
    docs = _AttributeDocs()
    app.connect("autodoc-process-docstring", docs.before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", docs.after_napoleon, priority=900)
