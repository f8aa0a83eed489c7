// Session.swift: inference across the border.
// Not here: plans, memory, locks between calls (RengaExecution).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaExecution
import RengaNetwork

/// What a renga_session points to; the session inside takes one call at a time.
private final class SessionObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_session"
    static let kind: UInt64 = 3

    let value: Session

    init(_ value: Session) { self.value = value }
}

/// What a host gets that names nothing.
private func defaultOptions() -> renga_session_options {
    let options = SessionOptions()
    return renga_session_options(
        size: MemoryLayout<renga_session_options>.size, batch: Int64(options.batch), height: 0, width: 0, threads: 0,
        fold_batch_norm: options.foldBatchNorm ? 1 : 0, algorithm: nil, precision: 0, tune: 0,
        linear_weights: 0)
}

@c @implementation
public func renga_session_options_init(_ options: UnsafeMutablePointer<renga_session_options>?, _ size: Int) {
    prepare(options, size: size, defaults: defaultOptions())
}

@c @implementation
public func renga_session_create(
    _ network: OpaquePointer?, _ options: UnsafePointer<renga_session_options>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        let network = try object(network, "network", as: NetworkObject.self).value
        let given = try read(options, "options", defaults: defaultOptions())
        out.pointee = try makeHandle(SessionObject(try Session(network, try SessionOptions(given))))
    }
}

@c @implementation
public func renga_session_load(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<renga_session_options>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        let path = try text(path, "path")
        let given = try read(options, "options", defaults: defaultOptions())
        out.pointee = try makeHandle(SessionObject(try Session(path: path, try SessionOptions(given))))
    }
}

@c @implementation
public func renga_session_free(_ session: OpaquePointer?) {
    freeHandle(session, as: SessionObject.self)
}

@c @implementation
public func renga_session_input_shape(
    _ session: OpaquePointer?, _ index: Int32, _ out_shape: UnsafeMutablePointer<renga_shape>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try zeroed(out_shape, "out_shape")
        let shapes = try object(session, "session", as: SessionObject.self).value.inputShapes
        out.pointee = renga_shape(shapes[try number(index, "index", in: 0...shapes.count - 1)])
    }
}

@c @implementation
public func renga_session_output_shape(
    _ session: OpaquePointer?, _ index: Int32, _ out_shape: UnsafeMutablePointer<renga_shape>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try zeroed(out_shape, "out_shape")
        let shapes = try object(session, "session", as: SessionObject.self).value.outputShapes
        out.pointee = renga_shape(shapes[try number(index, "index", in: 0...shapes.count - 1)])
    }
}

@c @implementation
public func renga_session_run(
    _ session: OpaquePointer?, _ src: UnsafePointer<renga_source>?, _ dst: UnsafeMutablePointer<Float>?,
    _ dst_count: Int, _ dst_layout: Int32
) -> renga_status {
    guarded { () throws(RengaError) in
        let session = try object(session, "session", as: SessionObject.self).value
        let source = try Source(src, "src")
        let room = try OutputView(dst, dst_count, "dst", try Source.layout(dst_layout, "dst_layout"))
        try session.run([InputView(source)], outputs: [room], n: source.shape.n)
    }
}

@c @implementation
public func renga_session_run_many(
    _ session: OpaquePointer?, _ src: UnsafePointer<renga_source>?, _ src_count: Int,
    _ dst: UnsafePointer<UnsafeMutablePointer<Float>?>?, _ dst_count: UnsafePointer<Int>?, _ dst_len: Int,
    _ dst_layout: Int32
) -> renga_status {
    guarded { () throws(RengaError) in
        let session = try object(session, "session", as: SessionObject.self).value
        let src = try required(src, "src")
        let dst = try required(dst, "dst")
        let counts = try required(dst_count, "dst_count")
        // Before anything of the arrays is read: a host that counts wrongly is told so.
        guard src_count == session.inputShapes.count, dst_len == session.outputShapes.count else {
            throw RengaError(
                .invalidArgument,
                "the network has \(session.inputShapes.count) inputs and \(session.outputShapes.count) outputs; "
                    + "src_count is \(UInt(bitPattern: src_count)), dst_len \(UInt(bitPattern: dst_len))")
        }
        let layout = try Source.layout(dst_layout, "dst_layout")
        var sources: [InputView] = []
        for index in 0..<src_count { sources.append(InputView(try Source(src[index], "src[\(index)]"))) }
        var rooms: [OutputView] = []
        for index in 0..<dst_len { rooms.append(try OutputView(dst[index], counts[index], "dst[\(index)]", layout)) }
        try session.run(sources, outputs: rooms, n: sources[0].shape.n)
    }
}

@c @implementation
public func renga_memory_init(_ memory: UnsafeMutablePointer<renga_memory>?, _ size: Int) {
    prepare(memory, size: size, defaults: renga_memory())
}

@c @implementation
public func renga_session_memory(
    _ session: OpaquePointer?, _ memory: UnsafeMutablePointer<renga_memory>?
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(memory, "memory") { () throws(RengaError) in
            renga_memory(try object(session, "session", as: SessionObject.self).value.memory)
        }
    }
}

@c @implementation
public func renga_network_session_memory(
    _ network: OpaquePointer?, _ options: UnsafePointer<renga_session_options>?,
    _ memory: UnsafeMutablePointer<renga_memory>?
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(memory, "memory") { () throws(RengaError) in
            let network = try object(network, "network", as: NetworkObject.self).value
            let given = try read(options, "options", defaults: defaultOptions())
            return renga_memory(try Session.memory(of: network, try SessionOptions(given)))
        }
    }
}

@c @implementation
public func renga_session_profile(
    _ session: OpaquePointer?, _ runs: Int32, _ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in
        let session = try object(session, "session", as: SessionObject.self).value
        let runs = try number(runs, "runs", in: 1...Int(RENGA_MAX_RUNS))
        return StepProfile.jsonText(try session.profile(runs: runs), session.precision)
    }
}

// ---- the engine's words for the header's ----

extension renga_memory {
    fileprivate init(_ bytes: SessionMemory) {
        self.init()
        weights = Int64(bytes.weights)
        activations = Int64(bytes.activations)
        scratch = Int64(bytes.scratch)
        activations_lower_bound = Int64(bytes.activationsLowerBound)
    }
}

extension SessionOptions {
    fileprivate init(_ given: renga_session_options) throws(RengaError) {
        self.init()
        let extents = 0...Shape.largestExtent
        batch = try number(given.batch, "options->batch", in: 1...Shape.largestExtent)
        let h = try number(given.height, "options->height", in: extents)
        let w = try number(given.width, "options->width", in: extents)
        height = h == 0 ? nil : h
        width = w == 0 ? nil : w
        threads = try threadCount(given.threads, "options->threads")
        foldBatchNorm = try number(given.fold_batch_norm, "options->fold_batch_norm", in: 0...1) == 1
        algorithm = try optionalText(given.algorithm, "options->algorithm")
        precision = try Precision(given.precision, "options->precision")
        tune = try number(given.tune, "options->tune", in: 0...1) == 1
        linearWeights = try Precision(given.linear_weights, "options->linear_weights")
    }
}

extension Precision {
    /// A renga_precision.
    init(_ code: Int32, _ argument: StaticString) throws(RengaError) {
        self = Precision.allCases[try number(code, argument, in: 0...Precision.allCases.count - 1)]
    }
}

extension InputView {
    init(_ source: Source) {
        self.init(data: source.data, shape: source.shape, element: source.element, layout: source.layout)
        strides = source.strides
    }
}

extension OutputView {
    fileprivate init(
        _ data: UnsafeMutablePointer<Float>?, _ count: Int, _ argument: String, _ layout: ImageLayout
    ) throws(RengaError) {
        guard let data else { throw RengaError(.nullPointer, "\(argument) is NULL") }
        // What exceeds Int.max arrives negative: that is room enough.
        self.init(data: data, count: count < 0 ? .max : count, layout: layout)
    }
}
