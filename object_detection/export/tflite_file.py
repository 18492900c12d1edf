"""The objects of a .tflite file, which is a flatbuffer: read, named, stripped, packed again."""
import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from object_detection.export.tflite_graph import KEYPOINTS, OUTPUTS

INPUT = 'input'  # the name of the input tensor
_IDENTIFIER = b'TFL3'
_CONVOLUTIONS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)


def with_named_outputs(content: bytes) -> bytes:
    """Bring the outputs into the order of OUTPUTS, which the converter does not keep, and name their tensors so.

    Programs for the reference's files tell by the converter's own names (StatefulPartitionedCall) that the order is
    another one.
    """
    file = read(content)
    graph, signature = file.subgraphs[0], file.signatureDefs[0]
    index = {output.name.decode(): output.tensorIndex for output in signature.outputs}
    graph.outputs = [index[name] for name in (*OUTPUTS, *KEYPOINTS) if name in index]
    for name, number in index.items():
        graph.tensors[number].name = name
    graph.tensors[graph.inputs[0]].name = INPUT
    _strip(graph, {*graph.inputs, *graph.outputs})
    return pack(file)


def _strip(graph: schema.SubGraphT, named: set[int]) -> None:
    """Take out what only tools for debugging read, a tenth of an 8-bit file: names of the tensors inside, and the
    smallest and largest values of calibration."""
    for number, tensor in enumerate(graph.tensors):
        if number not in named:
            tensor.name = None
        if tensor.quantization:
            tensor.quantization.min = tensor.quantization.max = None


def heads(content: bytes) -> list[str]:
    """Return the names of the last convolutions, after which no other one comes, and of all that follows them."""
    file = read(content)
    graph = file.subgraphs[0]
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in file.operatorCodes]
    leads: set[int] = set()  # tensors that some convolution needs; operators come in the order of execution
    for operator in reversed(graph.operators):
        if kinds[operator.opcodeIndex] in _CONVOLUTIONS or leads.intersection(operator.outputs):
            leads.update(operator.inputs)
    after: set[int] = set()
    for operator in graph.operators:
        last = kinds[operator.opcodeIndex] in _CONVOLUTIONS and not leads.intersection(operator.outputs)
        if last or after.intersection(operator.inputs):
            after.update(operator.outputs)
    return [graph.tensors[number].name.decode() for number in sorted(after)]


def read(content: bytes) -> schema.ModelT:
    """Return the objects of a .tflite file, to change them."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))


def pack(file: schema.ModelT) -> bytes:
    """Return the content of a .tflite file with these objects."""
    builder = flatbuffers.Builder(0)
    builder.Finish(file.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
