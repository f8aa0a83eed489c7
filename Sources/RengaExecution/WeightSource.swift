// WeightSource.swift: where kernels find parameters: constants of an inference plan, or the blobs of a training plan.
// Not here: what is done with them.
import CRengaKernels
import RengaNetwork

/// Gives parameters addresses that stay for as long as the plan.
package protocol WeightSource: AnyObject {
    /// The values of a parameter ("layer.weight").
    func parameter(_ name: String) throws(RengaError) -> (pointer: UnsafeMutablePointer<Float>, floats: Int)
    /// Calls `body` with the values as they are now, without keeping them.
    func withValues(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError)
    /// Where the gradient of a parameter goes, or nil where it is not trained.
    func gradient(_ name: String) -> UnsafeMutablePointer<Float>?
    /// The algorithm that an earlier plan of the same weights took for `key`; plans for other batches must take the same.
    var algorithms: [String: rk_conv_algorithm] { get set }
}

/// The parameters of an inference plan: copied or packed once, shared by the plans of all batch sizes.
final class ConstantStore: WeightSource {
    private var network: Network?
    private var buffers: [String: Buffer] = [:]
    /// Bytes by name or key, where nothing is kept.
    private var planned: [String: Int] = [:]
    private let standIn: Buffer?
    /// By the name of a weight: what its output channels have yet to be multiplied by.
    private var scales: [String: [Double]] = [:]
    /// The memory that the last scaled weight lies in, while plans are compiled.
    private var scaled: Buffer?
    private var threads = 1
    var algorithms: [String: rk_conv_algorithm] = [:]

    /// threads: of the preparation of large weights.
    init(_ network: Network, scales: [String: [Double]] = [:], threads: Int) {
        (self.network, self.scales, self.threads) = (network, scales, threads)
        standIn = nil
    }

    /// A store that only adds up: a measuring pass finds an address in it that nobody reads or writes.
    init(planning network: Network) throws(RengaError) {
        self.network = network
        standIn = try Buffer(bytes: 0, for: "a plan")
    }

    /// Bytes of all constants.
    var bytes: Int { buffers.values.reduce(planned.values.saturatingSum) { $0 + $1.bytes } }

    /// Lets go of the network: everything that plans of these weights need is here.
    func seal() { (network, scales, scaled) = (nil, [:], nil) }

    func parameter(_ name: String) throws(RengaError) -> (pointer: UnsafeMutablePointer<Float>, floats: Int) {
        if let standIn, let count = network?.parameters[name]?.tensor.dimensions.saturatingProduct {
            return (plan(name, floats: count, at: standIn), count)
        }
        if buffers[name] == nil {
            try withValues(name) { values throws(RengaError) in
                let buffer = try Buffer(floats: values.count, zeroed: false, for: "parameter '\(name)'")
                if let base = values.baseAddress { buffer.floats.update(from: base, count: values.count) }
                buffers[name] = buffer
            }
        }
        guard let buffer = buffers[name] else { throw RengaError(.internalFault, "parameter '\(name)' was not kept") }
        return (buffer.floats, buffer.bytes / MemoryLayout<Float>.stride)
    }

    func withValues(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) {
        guard let parameter = network?.parameters[name] else {
            throw RengaError(.internalFault, "parameter '\(name)' was not kept")
        }
        guard let scale = scales[name] else { return try parameter.tensor.withUnsafeValues(body) }
        let count = parameter.tensor.count
        if scaled?.bytes ?? 0 < count * MemoryLayout<Float>.stride {
            scaled = nil
            scaled = try Buffer(floats: count, zeroed: false, for: "the scaled weights of '\(name)'")
        }
        guard let scaled else { return }
        try parameter.tensor.withUnsafeValues { values throws(RengaError) in
            try scale.withUnsafeBufferPointer { scale throws(RengaError) in
                try run(
                    rk_scale_columns,
                    rk_scale_columns_args(
                        rows: Int64(count / max(scale.count, 1)), k: Int64(scale.count), src: values.baseAddress,
                        scale: scale.baseAddress, dst: scaled.floats), bytes: 8 * count)
            }
        }
        try body(UnsafeBufferPointer(start: scaled.floats, count: count))
    }

    /// Runs one step, on all threads where it walks through a megabyte or more.
    private func run<Args>(_ step: @escaping StepFunction, _ args: Args, bytes: Int) throws(RengaError) {
        let program = Program()
        try program.add("prepare weights", step, args)
        program.run(threads: bytes >= 1 << 20 ? threads : 1)
    }

    func gradient(_ name: String) -> UnsafeMutablePointer<Float>? { nil }

    /// What is computed from parameters once and for all, by a key that says all that it depends on.
    func constant(
        _ key: String, floats: Int, _ fill: (UnsafeMutablePointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) -> UnsafeMutablePointer<Float> {
        if let standIn { return plan(key, floats: floats, at: standIn) }
        if let known = buffers[key] { return known.floats }
        let buffer = try Buffer(floats: floats, zeroed: false, for: "'\(key)'")
        try run(rk_clear, rk_clear_args(bytes: Int64(buffer.bytes), dst: buffer.base), bytes: buffer.bytes)
        try fill(buffer.floats)
        buffers[key] = buffer
        return buffer.floats
    }

    private func plan(_ key: String, floats: Int, at standIn: Buffer) -> UnsafeMutablePointer<Float> {
        planned[key] = floats.saturatingTimes(MemoryLayout<Float>.stride)
        return standIn.floats
    }
}
