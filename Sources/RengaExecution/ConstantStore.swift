// ConstantStore.swift: the constants of an inference plan: parameters as they are, and what is computed from them once.
// Not here: where they lie (ConstantMemory), who needs them (the operators).
import CRengaKernels
import RengaFormats
import RengaNetwork

/// The parameters of an inference plan: copied or packed once, shared by the plans of all batch sizes.
final class ConstantStore: WeightSource {
    private struct Entry {
        let floats: UnsafeMutablePointer<Float>
        let count: Int
    }

    private var network: Network?
    /// Parameters of it that have yet to be read from a file, and which of them nobody has asked for so far.
    private var pending: [String: PendingTensor]
    private var unread: Set<String>
    private var entries: [String: Entry] = [:]
    /// Of what is packed, by all threads.
    private let memory: ConstantMemory
    /// Of what is copied at once, by one: between packed weights it would clear their pages alone.
    private let copies = ConstantMemory(expectedBytes: 1 << 20)
    private let standIn: Buffer?
    /// By the name of a weight: what its output channels have yet to be multiplied by.
    private var scales: [String: [Double]] = [:]
    /// Weights to be packed when all are known: one region for all of them, and one for those that come from a file.
    private var packing: Program? = Program()
    private var streaming = StreamedPacking()
    /// Weights and factors that the packing reads.
    private var held: [Tensor] = []
    private var factors: [Buffer] = []
    private let threads: Int
    var algorithms: [String: rk_conv_algorithm] = [:]

    /// pending: parameters without values in the network, to be read. threads: of the packing.
    init(
        _ network: Network, pending: [String: PendingTensor] = [:], scales: [String: [Double]] = [:], threads: Int
    ) {
        (self.network, self.scales, self.threads) = (network, scales, threads)
        (self.pending, unread) = (pending, Set(pending.keys))
        let floats = network.parameters.values.map(\.tensor.count).saturatingSum
        memory = ConstantMemory(expectedBytes: floats.saturatingTimes(MemoryLayout<Float>.stride))
        standIn = nil
    }

    /// A store that only adds up: a measuring pass finds an address in it that nobody reads or writes.
    init(planning network: Network) throws(RengaError) {
        (self.network, threads, pending, unread) = (network, 1, [:], [])
        memory = ConstantMemory(expectedBytes: 0)
        standIn = try Buffer(bytes: 0, for: "a plan")
    }

    /// Bytes of all constants.
    var bytes: Int { entries.values.map { $0.count.saturatingTimes(MemoryLayout<Float>.stride) }.saturatingSum }

    /// Packs, and lets go of the network and its file: everything that plans of these weights need is here. What of the file nobody has
    /// asked for is checked all the same. Errors: the file's.
    func seal() throws(RengaError) {
        let threads = bytes >= 1 << 20 ? threads : 1
        for (name, tensor) in pending where unread.contains(name) { streaming.check(tensor) }
        if let packing, !packing.infos.isEmpty {
            let touching = Program()
            for block in memory.largeBlocks {
                // A hint: pages that are not touched here are when they are written.
                _ = try? touching.add("touch", rk_touch, rk_touch_args(block: block.base, bytes: block.bytes))
            }
            touching.run(threads: threads)
            packing.run(threads: threads)
        }
        // Here each thread writes to pages of its own, which stay in its cache from their clearing on.
        try streaming.run(threads: threads)
        (network, scales, packing, held, factors) = (nil, [:], nil, [], [])
        (pending, unread, streaming) = ([:], [], StreamedPacking())
    }

    func parameter(_ name: String) throws(RengaError) -> (pointer: UnsafeMutablePointer<Float>, floats: Int) {
        if let known = entries[name] { return (known.floats, known.count) }
        let count = try tensor(name).dimensions.saturatingProduct
        let entry = try add(name, floats: count, in: copies)
        if standIn == nil {
            try withValues(name) { values in
                if let base = values.baseAddress { entry.floats.update(from: base, count: values.count) }
            }
        }
        return (entry.floats, entry.count)
    }

    func withValues(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) {
        let tensor = try values(name)
        guard let scale = scales[name] else { return try tensor.withUnsafeValues(body) }
        let scaled = try Buffer(floats: tensor.count, zeroed: false, for: "the scaled weights of '\(name)'")
        try tensor.withUnsafeValues { values throws(RengaError) in
            try scale.withUnsafeBufferPointer { scale throws(RengaError) in
                let program = Program()
                try program.add(
                    "scale", rk_scale_columns,
                    rk_scale_columns_args(
                        rows: Int64(tensor.count / max(scale.count, 1)), k: Int64(scale.count),
                        src: values.baseAddress, scale: scale.baseAddress, dst: scaled.floats))
                program.run(threads: tensor.count >= 1 << 18 ? threads : 1)
            }
        }
        try body(UnsafeBufferPointer(start: scaled.floats, count: tensor.count))
    }

    func gradient(_ name: String) -> UnsafeMutablePointer<Float>? { nil }

    /// What is computed from parameters once and for all, by a key that says all that it depends on. Zeros where `fill` writes nothing.
    func constant(
        _ key: String, floats: Int, _ fill: (UnsafeMutablePointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) -> UnsafeMutablePointer<Float> {
        if let known = entries[key] { return known.floats }
        let entry = try add(key, floats: floats, in: copies)
        guard standIn == nil else { return entry.floats }
        entry.floats.update(repeating: 0, count: floats)
        do throws(RengaError) {
            try fill(entry.floats)
        } catch {
            entries[key] = nil
            throw error
        }
        return entry.floats
    }

    /// The weight `name` as `plan` wants it, by a key that says all that it depends on. It is there when the store is sealed.
    func packed(
        _ key: String, _ name: String, _ plan: rk_conv_plan, floats: Int
    ) throws(RengaError) -> UnsafeMutablePointer<Float> {
        if let known = entries[key] { return known.floats }
        let entry = try add(key, floats: floats, in: memory)
        guard standIn == nil, let packing else { return entry.floats }
        var args = rk_conv_pack_args(
            plan: try packing.keep(plan), weight: nil, packed: entry.floats, scale: try factors(of: name), first: 0,
            channels: 0)
        if let tensor = pending[name], StreamedPacking.takes(tensor, plan) {
            unread.remove(name)
            streaming.pack(tensor, args)
        } else {
            let tensor = try values(name)
            held.append(tensor)
            args.weight = tensor.withUnsafeValues(\.baseAddress)
            try packing.add("pack", rk_conv_pack, args)
        }
        return entry.floats
    }

    private func factors(of name: String) throws(RengaError) -> UnsafePointer<Double>? {
        guard let scale = scales[name] else { return nil }
        let bytes = scale.count.saturatingTimes(MemoryLayout<Double>.stride)
        let buffer = try Buffer(bytes: bytes, zeroed: false, for: "the scale of '\(name)'")
        factors.append(buffer)
        let copy = buffer.base.bindMemory(to: Double.self, capacity: scale.count)
        scale.withUnsafeBufferPointer { scale in
            if let base = scale.baseAddress { copy.update(from: base, count: scale.count) }
        }
        return UnsafePointer(copy)
    }

    private func tensor(_ name: String) throws(RengaError) -> Tensor {
        guard let parameter = network?.parameters[name] else {
            throw RengaError(.internalFault, "parameter '\(name)' was not kept")
        }
        return parameter.tensor
    }

    /// The same with its values, which are read now where they are in a file.
    private func values(_ name: String) throws(RengaError) -> Tensor {
        guard let tensor = pending[name] else { return try tensor(name) }
        unread.remove(name)
        return try tensor.load()
    }

    private func add(_ key: String, floats: Int, in memory: ConstantMemory) throws(RengaError) -> Entry {
        let entry: Entry
        if let standIn {
            entry = Entry(floats: standIn.floats, count: floats)
        } else {
            entry = Entry(floats: try memory.take(floats: floats, for: "'\(key)'"), count: floats)
        }
        entries[key] = entry
        return entry
    }
}
