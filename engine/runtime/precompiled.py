"""The hot function's bytecode in one file: its modules, and the methods that attrs writes for its classes.

Python looks for each module in the file system, and attrs writes the methods of each class as source text and compiles it when
the class is made: a third of what the imports of the hot function take. The build notes both
(``python -m engine.runtime.precompiled FOLDER``), and a cold start takes them from there: a module by its name, a method by
the name that attrs gives its text. The note is as trustworthy as the other bytecode of the artifact, which is not compared
with its source either; what has not been noted is found and compiled as ever.
"""

from __future__ import annotations

import builtins
import marshal
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

COMPILE = builtins.compile

WRITTEN_BY_ATTRS = "<attrs generated "
"""What the names begin with: ``<attrs generated methods engine.domain.entry.Entry>``."""

LAMBDA_FOLDER = "/var/task"
"""Where the artifact lies when it runs, as tracebacks name it."""

type Modules = dict[str, tuple[CodeType, str, bool]]
"""By its name, each module's code, its file in the artifact, and whether it is a package."""


class NotedModules:
    """Finds and loads modules that the build has noted.

    An importer, as "The import system" in the Python Language Reference has it.
    """

    def __init__(self, folder: str, modules: Modules) -> None:
        self.folder, self.modules = folder, modules

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Return where a module comes from, or None for one that was not noted."""
        if (noted := self.modules.get(name)) is None:
            return None
        _, file, is_package = noted
        spec = ModuleSpec(name, self, origin=f"{self.folder}/{file}", is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [f"{self.folder}/{file.rpartition('/')[0]}"]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code, and keep it no longer."""
        code, *_ = self.modules.pop(module.__name__)
        exec(code, module.__dict__)  # noqa: S102  made by our own build, from our own code


def file_of(folder: str) -> str:
    """Return where the bytecode is kept. Its version is in the name, as for all bytecode: no other Python looks there."""
    return f"{folder}/engine/precompiled.{sys.implementation.cache_tag}"


def recall(folder: str) -> None:
    """Take modules and methods from the note in ``folder``, until ``forget``. Where there is none, nothing changes."""
    try:
        with open(file_of(folder), "rb") as file:  # noqa: PTH123  pathlib is not imported yet
            modules, methods = marshal.loads(file.read())  # noqa: S302  made by our own build, beside our own code
    except OSError:
        return

    def recalled(source: Any, filename: Any, mode: str, *options: Any, **more: Any) -> Any:
        return methods.get(filename) or COMPILE(source, filename, mode, *options, **more)

    builtins.compile = recalled
    sys.meta_path.insert(0, NotedModules(folder, modules))


def forget() -> None:
    """Let modules be found, and ``compile`` compile, as ever."""
    builtins.compile = COMPILE
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, NotedModules)]


def note(folder: str) -> int:
    """Import the handler from ``folder``, note what is imported and compiled meanwhile, and return how many methods it was."""
    methods: dict[str, Any] = {}

    def noted(source: Any, filename: Any, mode: str, *options: Any, **more: Any) -> Any:
        code = COMPILE(source, filename, mode, *options, **more)
        if isinstance(filename, str) and filename.startswith(WRITTEN_BY_ATTRS):
            methods[filename] = code
        return code

    builtins.compile = noted
    try:
        import handler  # noqa: F401, PLC0415  importing it is what makes the classes
    finally:
        forget()
    with open(file_of(folder), "wb") as file:  # noqa: PTH123  as above
        file.write(marshal.dumps((modules_in(folder), methods)))
    return len(methods)


def modules_in(folder: str) -> Modules:
    """Return the modules that were imported from ``folder``, compiled as if they lay where the artifact runs."""
    found: Modules = {}
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None) or ""
        if spec is None or spec.name != name or not (origin.startswith(f"{folder}/") and origin.endswith(".py")):
            continue
        file = origin.removeprefix(f"{folder}/")
        with open(origin, "rb") as source:  # noqa: PTH123  as above
            code = COMPILE(source.read(), f"{LAMBDA_FOLDER}/{file}", "exec", dont_inherit=True)
        found[name] = code, file, spec.submodule_search_locations is not None
    return found


if __name__ == "__main__":
    sys.exit(note(sys.argv[1]) == 0)
