// ONNXTensor.swift: one initialiser of an ONNX file: what it says about itself, and where its numbers lie. Nothing is read before it is used.
// Not here: large weights, which are read by all threads (ONNXWeights.swift).
import CRengaKernels
import RengaNetwork

/// How the numbers of a tensor lie in a file; the raw values are those of TensorProto.DataType.
enum ONNXElement: Int {
    case float = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case bool = 9
    case float16 = 10
    case double = 11
    case uint32 = 12
    case uint64 = 13
    case bfloat16 = 16

    var bytes: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .float, .int32, .uint32: 4
        case .int64, .double, .uint64: 8
        }
    }

    /// True for the types that a network computes in; the others are whole numbers.
    var isFloating: Bool { self == .float || self == .float16 || self == .bfloat16 || self == .double }

    /// The number whose little-endian bits are the lowest of `bits`.
    func value(_ bits: UInt64) -> Double {
        switch self {
        case .float: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        case .double: Double(bitPattern: bits)
        case .float16: Double(ONNXElement.half(UInt16(truncatingIfNeeded: bits)))
        case .bfloat16: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits) << 16))
        case .uint8, .bool: Double(UInt8(truncatingIfNeeded: bits))
        case .int8: Double(Int8(truncatingIfNeeded: bits))
        case .uint16: Double(UInt16(truncatingIfNeeded: bits))
        case .int16: Double(Int16(truncatingIfNeeded: bits))
        case .int32: Double(Int32(truncatingIfNeeded: bits))
        case .uint32: Double(UInt32(truncatingIfNeeded: bits))
        case .int64: Double(Int64(truncatingIfNeeded: bits))
        case .uint64: Double(bits)
        }
    }

    /// An IEEE half as a float; Swift's Float16 is not there on every machine.
    private static func half(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let (exponent, fraction) = (UInt32(bits >> 10 & 0x1F), UInt32(bits & 0x3FF))
        if exponent == 0 {
            let value = Float(fraction) * 0x1p-24
            return sign == 0 ? value : -value
        }
        let widened = exponent == 31 ? 255 : exponent + 112
        return Float(bitPattern: sign | widened << 23 | fraction << 13)
    }
}

/// An initialiser, or the tensor of an attribute.
struct ONNXTensor {
    var name = ""
    var dimensions: [Int] = []
    var element = ONNXElement.float
    /// Numbers in it: the product of its dimensions.
    private(set) var count = 0
    /// Where the numbers lie: as they are (little-endian, in order) …
    private(set) var place: (source: any ByteSource, range: Range<Int>)?
    /// … or as fields of the message, each at least a byte.
    private var fields: [ProtobufField] = []
    private var message: ProtobufReader?
}

// MARK: - Reading

extension ONNXTensor {
    /// Reads what a TensorProto says. `external` opens the file of a location with offset and length.
    init(
        _ message: ProtobufReader,
        external: ([String: String]) throws(RengaError) -> (source: any ByteSource, range: Range<Int>)
    ) throws(RengaError) {
        var reader = message
        var code = 0
        var isExternal = false
        var location: [String: String] = [:]
        self.message = message
        while let field = try reader.next() {
            switch field.number {
            case ONNXSchema.Tensor.dimensions:
                try reader.integers(field) { (extent) throws(RengaError) in dimensions.append(extent) }
            case ONNXSchema.Tensor.element: code = field.integer
            case ONNXSchema.Tensor.name: name = try reader.text(field)
            case ONNXSchema.Tensor.raw: place = (message.source.source, field.range)
            case ONNXSchema.Tensor.floats, ONNXSchema.Tensor.int32s, ONNXSchema.Tensor.int64s,
                ONNXSchema.Tensor.doubles, ONNXSchema.Tensor.uint64s:
                fields.append(field)
            case ONNXSchema.Tensor.location: isExternal = field.bits == 1
            case ONNXSchema.Tensor.external:
                let entry = try reader.entry(field)
                location[entry.key] = entry.value
            default: break
            }
        }
        count = dimensions.contains(where: { $0 < 0 }) ? .max : dimensions.saturatingProduct
        guard dimensions.count <= 16, count <= Shape.mostElements else {
            throw wrong("its dimensions \(dimensions.prefix(16)) are impossible")
        }
        guard let element = ONNXElement(rawValue: code) else {
            throw RengaError(
                .unsupported, "tensor '\(name.prefix(200))' has the element type \(code), which is not read")
        }
        self.element = element
        if isExternal { place = try external(location) }
        if place == nil, fields.count == 1, fields[0].wire == .bytes, let width = packedWidth {
            guard fields[0].range.count == count.saturatingTimes(width) else {
                throw wrong(size: fields[0].range.count)
            }
            place = (message.source.source, fields[0].range)
        }
        if let place, place.range.count != count.saturatingTimes(element.bytes) { throw wrong(size: place.range.count) }
        // A field of n bytes holds at most n numbers: dimensions cannot promise more than the file has.
        let most = fields.reduce(0) { $0.saturatingPlus(max($1.range.count, 1)) }
        guard place != nil || count <= most else { throw wrong(size: most) }
    }

    /// Bytes of a number in a packed field whose bytes are those of the numbers themselves.
    private var packedWidth: Int? {
        switch (fields[0].number, element) {
        case (ONNXSchema.Tensor.floats, .float), (ONNXSchema.Tensor.doubles, .double): element.bytes
        default: nil
        }
    }

    private func wrong(size: Int) -> RengaError {
        wrong("its data of \(size) bytes do not fit its dimensions \(dimensions)")
    }

    private func wrong(_ what: String) -> RengaError {
        RengaError(.corruptData, "tensor '\(name.prefix(200))': \(what)")
    }

    /// All numbers, in order. Memory: 8 bytes each.
    func values() throws(RengaError) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(count)
        let element = element
        if let place {
            var bytes = ProtobufReader(place.source, place.range)
            for _ in 0..<count { values.append(element.value(try bytes.fixed(element.bytes))) }
            return values
        }
        guard let message else { return values }
        for field in fields {
            switch field.number {
            case ONNXSchema.Tensor.floats:
                try message.fixeds(field, .fixed32) { (bits) throws(RengaError) in
                    values.append(ONNXElement.float.value(bits))
                }
            case ONNXSchema.Tensor.doubles:
                try message.fixeds(field, .fixed64) { (bits) throws(RengaError) in
                    values.append(ONNXElement.double.value(bits))
                }
            default:
                // Halves lie in int32_data as their bits.
                try message.integers(field) { (integer) throws(RengaError) in
                    values.append(element.value(UInt64(bitPattern: Int64(integer))))
                }
            }
        }
        guard values.count == count else {
            throw wrong("it holds \(values.count) numbers, its dimensions ask for \(count)")
        }
        return values
    }
}

extension ProtobufReader {
    /// Key and value of a StringStringEntryProto.
    func entry(_ field: ProtobufField) throws(RengaError) -> (key: String, value: String) {
        var entry = (key: "", value: "")
        guard field.wire == .bytes else { return entry }
        var reader = message(field.range)
        while let part = try reader.next() {
            if part.number == ONNXSchema.Entry.key { entry.key = try reader.text(part) }
            if part.number == ONNXSchema.Entry.value { entry.value = try reader.text(part, most: 1 << 20) }
        }
        return entry
    }

    /// A stretch of any source.
    init(_ source: any ByteSource, _ range: Range<Int>) {
        self.init(ProtobufSource(source), range)
    }
}
