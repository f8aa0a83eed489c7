// Builder.swift: networks layer by layer.
// Not here: operators and their attributes (RengaNetwork).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaExecution
import RengaNetwork

/// What a renga_builder points to.
private final class BuilderObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_builder"
    static let kind: UInt64 = 2

    private let lock = Lock()
    private var builder = NetworkBuilder()

    /// The builder as it stands now.
    var value: NetworkBuilder { lock.locked { builder } }

    /// Adds something; a NetworkBuilder whose addition fails stays as it was.
    func change<Result>(_ body: (inout NetworkBuilder) throws(RengaError) -> Result) throws(RengaError) -> Result {
        try lock.locked { () throws(RengaError) in try body(&builder) }
    }
}

/// What a failed call leaves in out_value: no value has this number. It is written last: out_value may be one of `inputs`.
private let noValue: Int32 = -1

/// Most values of one network: their numbers fit the header's int32_t with room.
private let mostValues = 1 << 20

@c @implementation
public func renga_builder_create(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(BuilderObject())
    }
}

@c @implementation
public func renga_builder_free(_ builder: OpaquePointer?) {
    freeHandle(builder, as: BuilderObject.self)
}

@c @implementation
public func renga_builder_add_input(
    _ builder: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ h: Int64, _ w: Int64, _ c: Int64,
    _ out_value: UnsafeMutablePointer<Int32>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try required(out_value, "out_value")
        var made = noValue
        defer { out.pointee = made }
        let builder = try object(builder, "builder", as: BuilderObject.self)
        let name = try optionalText(name, "name") ?? "input"
        let extents = 1...Shape.largestExtent
        let (h, w, c) = (
            try number(h, "h", in: extents), try number(w, "w", in: extents), try number(c, "c", in: extents)
        )
        made = try builder.change { (builder) throws(RengaError) in
            try checkRoom(builder)
            return Int32(try builder.addInput(name, h: h, w: w, c: c))
        }
    }
}

@c @implementation
public func renga_builder_add_layer(
    _ builder: OpaquePointer?, _ op: UnsafePointer<CChar>?, _ attributes: UnsafePointer<CChar>?,
    _ name: UnsafePointer<CChar>?, _ inputs: UnsafePointer<Int32>?, _ input_count: Int,
    _ out_value: UnsafeMutablePointer<Int32>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try required(out_value, "out_value")
        var made = noValue
        defer { out.pointee = made }
        let builder = try object(builder, "builder", as: BuilderObject.self)
        let op = try text(op, "op")
        let attributes = try Attributes(text: try optionalText(attributes, "attributes") ?? "")
        let name = try optionalText(name, "name")
        let sources = try values(inputs, "inputs", input_count, "input_count")
        made = try builder.change { (builder) throws(RengaError) in
            try checkRoom(builder)
            return Int32(try builder.add(operator: op, attributes, name: name, sources: sources))
        }
    }
}

@c @implementation
public func renga_builder_shape(
    _ builder: OpaquePointer?, _ value: Int32, _ out_shape: UnsafeMutablePointer<renga_shape>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try zeroed(out_shape, "out_shape")
        let builder = try object(builder, "builder", as: BuilderObject.self).value
        out.pointee = renga_shape(try builder.shape(of: Int(value)))
    }
}

@c @implementation
public func renga_builder_finish(
    _ builder: OpaquePointer?, _ outputs: UnsafePointer<Int32>?, _ output_count: Int,
    _ initialization: UnsafePointer<CChar>?, _ seed: UInt64, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        let builder = try object(builder, "builder", as: BuilderObject.self).value
        let outputs = try values(outputs, "outputs", output_count, "output_count")
        let rule = try optionalText(initialization, "initialization")
        let initialization: Initialization = if let rule { try Initialization(named: rule) } else { .heFanIn }
        let network = try builder.build(outputs: outputs, initialization: initialization, seed: seed)
        out.pointee = try makeHandle(NetworkObject(network))
    }
}

/// A list of values by number.
private func values(
    _ pointer: UnsafePointer<Int32>?, _ argument: StaticString, _ length: Int, _ lengthArgument: StaticString
) throws(RengaError) -> [ValueID] {
    let length = try count(length, lengthArgument, in: 1...Network.mostInputs)
    let pointer = try required(pointer, argument)
    return UnsafeBufferPointer(start: pointer, count: length).map { Int($0) }
}

private func checkRoom(_ builder: NetworkBuilder) throws(RengaError) {
    guard builder.valueCount < mostValues else {
        throw RengaError(.unsupported, "the builder holds \(mostValues) values, the most of one network")
    }
}

extension renga_shape {
    init(_ shape: Shape) {
        self.init(n: Int64(shape.n), h: Int64(shape.h), w: Int64(shape.w), c: Int64(shape.c))
    }
}
