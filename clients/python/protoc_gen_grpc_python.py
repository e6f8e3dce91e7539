"""The plugin protoc-gen-grpc_python, which grpcio-tools has only inside its own protoc.

Reads a CodeGeneratorRequest, has that protoc write the files into a temporary directory,
and answers with them. Only clients/generate uses it; it is not part of the package.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> int:
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as work:
        descriptors = Path(work, "descriptors.binpb")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = Path(work, "out")
        out.mkdir()
        options = ["protoc", f"--descriptor_set_in={descriptors}", f"--grpc_python_out={out}"]
        status = protoc.main([*options, *request.file_to_generate])
        for path in sorted(out.rglob("*.py")):
            name = path.relative_to(out).as_posix()
            response.file.add(name=name, content=path.read_text())
    sys.stdout.buffer.write(response.SerializeToString())
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
