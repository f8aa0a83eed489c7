// ONNXSchema.swift: the numbers of ONNX's protobuf schema that Renga reads and writes (onnx.proto, IR versions 3 to 13).
// Not here: reading (ONNXModel.swift), the wire format (Protobuf.swift).

/// Field numbers by message, and the codes of element types.
package enum ONNXSchema {
    /// ModelProto: the file.
    package enum Model {
        package static let irVersion = 1
        package static let producerName = 2
        package static let producerVersion = 3
        package static let graph = 7
        package static let operatorSets = 8
        package static let metadata = 14
    }

    /// OperatorSetIdProto: which version of which operators; the empty domain is ONNX's own.
    package enum OperatorSet {
        package static let domain = 1
        package static let version = 2
    }

    /// StringStringEntryProto: metadata, and where external data lie.
    package enum Entry {
        package static let key = 1
        package static let value = 2
    }

    /// GraphProto.
    package enum Graph {
        package static let nodes = 1
        package static let name = 2
        package static let initializers = 5
        package static let inputs = 11
        package static let outputs = 12
        package static let valueInfo = 13
        package static let sparseInitializers = 15
    }

    /// NodeProto.
    package enum Node {
        package static let inputs = 1
        package static let outputs = 2
        package static let name = 3
        package static let operatorType = 4
        package static let attributes = 5
        package static let domain = 7
    }

    /// AttributeProto: one of several values, told by `type`.
    package enum Attribute {
        package static let name = 1
        package static let float = 2
        package static let integer = 3
        package static let text = 4
        package static let tensor = 5
        package static let graph = 6
        package static let floats = 7
        package static let integers = 8
        package static let texts = 9
        package static let type = 20
        package static let reference = 21
    }

    /// AttributeProto.AttributeType.
    package enum AttributeType {
        package static let float = 1
        package static let integer = 2
        package static let text = 3
        package static let tensor = 4
        package static let floats = 6
        package static let integers = 7
    }

    /// ValueInfoProto: an input or output.
    package enum ValueInfo {
        package static let name = 1
        package static let type = 2
    }

    /// TypeProto and, inside it, TypeProto.Tensor.
    package enum ValueType {
        package static let tensor = 1
        package static let element = 1
        package static let shape = 2
    }

    /// TensorShapeProto and, inside it, its dimensions: a number or a name.
    package enum Shape {
        package static let dimensions = 1
        package static let value = 1
        package static let parameter = 2
    }

    /// TensorProto.
    package enum Tensor {
        package static let dimensions = 1
        package static let element = 2
        package static let floats = 4
        package static let int32s = 5
        package static let int64s = 7
        package static let name = 8
        package static let raw = 9
        package static let doubles = 10
        package static let uint64s = 11
        package static let external = 13
        /// 1: the numbers are in another file.
        package static let location = 14
    }

    /// TensorProto.DataType.
    package enum Element {
        package static let float = 1
        package static let uint8 = 2
        package static let int8 = 3
        package static let uint16 = 4
        package static let int16 = 5
        package static let int32 = 6
        package static let int64 = 7
        package static let bool = 9
        package static let float16 = 10
        package static let double = 11
        package static let uint32 = 12
        package static let uint64 = 13
        package static let bfloat16 = 16
    }
}
