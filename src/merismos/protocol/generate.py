"""Makes the Struct modules and the descriptor set of the `.proto` files: `python -m merismos.protocol.generate [--check]`.

Rules: the `.proto` files are the only source; what is made is committed; `--check` writes nothing and exits with 1 when a file
is stale. protoc comes from grpcio-tools, which only this module needs.
A file that only imports others publicly becomes a module that has all their types.
A nested name is flattened with underscores. A required field has no default, an optional one is None, a repeated one an empty
list, a map an empty dict. An explicit default is a factory, so that msgspec always writes it; that of a deprecated field is not.
"""

from __future__ import annotations

import argparse
import importlib.resources
import keyword
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).parent
PROTO = ROOT / "proto"
DESCRIPTORS = ROOT / "pb" / "descriptors.binpb"
STRUCTS = ROOT / "v1"

_SCALARS = {
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
    FieldDescriptorProto.TYPE_DOUBLE: "Double",
    FieldDescriptorProto.TYPE_INT32: "Int32",
    FieldDescriptorProto.TYPE_INT64: "Int64",
    FieldDescriptorProto.TYPE_STRING: "str",
    FieldDescriptorProto.TYPE_UINT32: "UInt32",
    FieldDescriptorProto.TYPE_UINT64: "UInt64",
}
_LINE_LENGTH = 120
_LITERALS: dict[str, Callable[[str], str]] = {
    "bool": str.title,
    "Double": lambda text: repr(float(text)),
    "str": lambda text: f'"{text}"',
}
# Mesos writes these lists even when they are empty (seen in every recording), and clients read them without asking.
_ALWAYS_WRITTEN = frozenset(
    f"mesos.v1.{field}"
    for field in (
        "agent.Response.GetExecutors.completed_executors",
        "agent.Response.GetExecutors.executors",
        "agent.Response.GetFrameworks.completed_frameworks",
        "agent.Response.GetFrameworks.frameworks",
        "agent.Response.GetTasks.completed_tasks",
        "agent.Response.GetTasks.launched_tasks",
        "agent.Response.GetTasks.pending_tasks",
        "agent.Response.GetTasks.queued_tasks",
        "agent.Response.GetTasks.terminated_tasks",
        "master.Response.GetAgents.agents",
        "master.Response.GetAgents.recovered_agents",
        "master.Response.GetExecutors.executors",
        "master.Response.GetFrameworks.completed_frameworks",
        "master.Response.GetFrameworks.frameworks",
        "master.Response.GetTasks.completed_tasks",
        "master.Response.GetTasks.tasks",
        "master.Response.GetTasks.unreachable_tasks",
    )
)


def main(arguments: list[str]) -> int:
    """Write the generated files that are stale; with `--check` only name them, and return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m merismos.protocol.generate", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    check: bool = parser.parse_args(arguments).check
    stale = {path: made for path, made in outputs().items() if not path.exists() or path.read_bytes() != made}
    for path, made in stale.items():
        sys.stdout.write(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}\n")
        if not check:
            path.write_bytes(made)
    return 1 if check and stale else 0


def outputs() -> dict[Path, bytes]:
    """Return the content that every generated file shall have."""
    files = compile_protos()
    types = {name: place for file in files.file for name, place in _types(file)}
    made = {STRUCTS / f"{_module(file.name)}.py": _text(file, types).encode() for file in files.file}
    for file in files.file:
        file.ClearField("source_code_info")
    made[DESCRIPTORS] = files.SerializeToString(deterministic=True)
    return made


def compile_protos() -> FileDescriptorSet:
    """Return the descriptors and comments of every `.proto` file, what is imported first.

    Errors: RuntimeError when protoc refuses a file; it has said why on stderr.
    """
    from grpc_tools import protoc  # noqa: PLC0415 - the tests of the rest run where grpcio-tools is not installed

    with (
        tempfile.NamedTemporaryFile() as output,
        importlib.resources.as_file(importlib.resources.files("grpc_tools") / "_proto") as well_known,
    ):
        flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={output.name}"]
        sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
        status: int = protoc.main(["protoc", f"--proto_path={PROTO}", f"--proto_path={well_known}", *flags, *sources])
        if status != 0:
            message = f"protoc exited with {status}; correct the .proto file that it names above"
            raise RuntimeError(message)
        return FileDescriptorSet.FromString(output.read())


def _text(file: FileDescriptorProto, types: dict[str, tuple[str, str]]) -> str:
    title = f'"""The messages of `{file.name}`; made by `python -m merismos.protocol.generate`, do not edit."""'
    if not file.public_dependency:
        return f"{title}\n\n{_StructModule(file, types).text()}"
    parts = [_module(file.dependency[index]) for index in file.public_dependency]
    lines = [
        f"from merismos.protocol.v1.{part} import {name} as {name}"
        for part in sorted(parts)
        for name in sorted(name for module, name in types.values() if module == part)
    ]
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def _module(path: str) -> str:
    return Path(path).stem


def _types(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each type's full name, its module and its name there."""
    module = _module(file.name)

    def nested(full: str, flat: str, message: DescriptorProto) -> Iterator[tuple[str, tuple[str, str]]]:
        if not message.options.map_entry:
            yield full, (module, flat)
        for enum in message.enum_type:
            yield f"{full}.{enum.name}", (module, f"{flat}_{enum.name}")
        for inner in message.nested_type:
            yield from nested(f"{full}.{inner.name}", f"{flat}_{inner.name}", inner)

    for enum in file.enum_type:
        yield f".{file.package}.{enum.name}", (module, enum.name)
    for message in file.message_type:
        yield from nested(f".{file.package}.{message.name}", message.name, message)


class _StructModule:
    """Writes one module of Structs, enums first, in the order of the `.proto` file."""

    def __init__(self, file: FileDescriptorProto, types: dict[str, tuple[str, str]]) -> None:
        self._file = file
        self._types = types
        self._modules: set[str] = set()
        self._names = {"Message"}
        self._maps: dict[str, DescriptorProto] = {}
        self._enums: list[str] = []
        self._structs: list[str] = []
        self._comments = {
            tuple(place.path): place.leading_comments.strip()
            for place in file.source_code_info.location
            if place.leading_comments and (PROTO / file.name).exists()  # not those of google/protobuf
        }

    def text(self) -> str:
        file = self._file
        prefix = f".{file.package}"
        for index, enum in enumerate(file.enum_type):
            self._write_enum(prefix, enum, (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index))
        for index, message in enumerate(file.message_type):
            self._write_struct(prefix, message, (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, index))
        body = "\n\n\n".join(self._enums + self._structs)
        imports = ["import enum\n"] if self._enums else []
        if "msgspec." in body:
            imports.append("import msgspec\n")
        if self._modules:
            imports.append(f"from merismos.protocol.v1 import {', '.join(sorted(self._modules))}")
        imports.append(f"from merismos.protocol.v1.message import {', '.join(sorted(self._names))}")
        return "from __future__ import annotations\n\n" + "\n".join(imports) + f"\n\n\n{body}\n"

    def _docstring(self, full_name: str, path: tuple[int, ...]) -> str:
        return f'    """{self._comments.get(path) or f"`{full_name[1:]}`."}"""\n'

    def _write_enum(self, prefix: str, enum: EnumDescriptorProto, path: tuple[int, ...]) -> None:
        full_name = f"{prefix}.{enum.name}"
        members = "".join(f'    {value.name} = "{value.name}"\n' for value in enum.value)
        docstring = self._docstring(full_name, path)
        self._enums.append(f"class {self._types[full_name][1]}(enum.StrEnum):\n{docstring}\n{members}".rstrip())

    def _write_struct(self, prefix: str, message: DescriptorProto, path: tuple[int, ...]) -> None:
        full_name = f"{prefix}.{message.name}"
        if message.options.map_entry:
            self._maps[full_name] = message
            return
        for index, enum in enumerate(message.enum_type):
            self._write_enum(full_name, enum, (*path, DescriptorProto.ENUM_TYPE_FIELD_NUMBER, index))
        place = len(self._structs)
        for index, nested in enumerate(message.nested_type):
            self._write_struct(full_name, nested, (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, index))
        fields = "".join(f"    {self._field(full_name, field)}\n" for field in message.field)
        docstring = self._docstring(full_name, path)
        text = f"class {self._types[full_name][1]}(Message, kw_only=True):\n{docstring}"
        self._structs.insert(place, f"{text}\n{fields}".rstrip())

    def _field(self, message: str, field: FieldDescriptorProto) -> str:
        if keyword.iskeyword(field.name):
            text = f"{message}.{field.name}: a field may not be named like a Python keyword; teach _field to rename it"
            raise ValueError(text)
        if field.type_name in self._maps:
            key, value = self._maps[field.type_name].field
            return f"{field.name}: dict[{self._hint(key)}, {self._hint(value)}] = {{}}"
        hint = self._hint(field)
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            if f"{message[1:]}.{field.name}" in _ALWAYS_WRITTEN:
                return f"{field.name}: list[{hint}] = msgspec.field(default_factory=lambda: [])"
            return f"{field.name}: list[{hint}] = []"
        if field.label == FieldDescriptorProto.LABEL_REQUIRED:
            return f"{field.name}: {hint}"
        if field.HasField("default_value") and not field.options.deprecated:
            factory = f"default_factory=lambda: {self._literal(hint, field)}"
            line = f"{field.name}: {hint} = msgspec.field({factory})"
            if len(line) + len("    ") <= _LINE_LENGTH:
                return line
            return f"{field.name}: {hint} = msgspec.field(\n        {factory}\n    )"
        if message.startswith(".google.protobuf."):  # proto3: a number that is 0 can't be told from one that is unset
            return f"{field.name}: {hint} = 0"
        return f"{field.name}: {hint} | None = None"

    def _literal(self, hint: str, field: FieldDescriptorProto) -> str:
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            return f"{hint}.{field.default_value}"
        return _LITERALS.get(hint, str)(field.default_value)

    def _hint(self, field: FieldDescriptorProto) -> str:
        if field.type not in {FieldDescriptorProto.TYPE_ENUM, FieldDescriptorProto.TYPE_MESSAGE}:
            name = _SCALARS[field.type]
            if name[0].isupper():
                self._names.add(name)
            return name
        module, name = self._types[field.type_name]
        if module == _module(self._file.name):
            return name
        self._modules.add(module)
        return f"{module}.{name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
