// ChannelKernels.swift: a range of channels copied from one map to another, row by row.
// Sums with maps of fewer channels are such copies, too. Not here: the operators (Concat.swift, ChannelSlice.swift, ChannelPad.swift).
import CRengaKernels
import RengaNetwork

/// Channels of a map from an offset on.
struct ChannelRange {
    let buffer: BufferID
    /// All channels of the map.
    let c: Int
    let offset: Int
}

extension Emitter {
    func copyChannels(
        _ from: ChannelRange, to: ChannelRange, count: Int, _ step: FusedStep, accumulate: Bool = false,
        zeroRest: Bool = false, label: String = ""
    ) throws(RengaError) {
        var args = rk_channel_copy_args()
        (args.isa, args.type) = (isa, type(of: step))
        (args.rows, args.count) = (Int64(shape(step.output).rows), Int64(count))
        (args.src_c, args.src_offset) = (Int64(from.c), Int64(from.offset))
        (args.dst_c, args.dst_offset) = (Int64(to.c), Int64(to.offset))
        args.src = UnsafeRawPointer(pointer(from.buffer))
        (args.accumulate, args.zero_rest) = (accumulate ? 1 : 0, zeroRest ? 1 : 0)
        args.dst = UnsafeMutableRawPointer(pointer(to.buffer))
        try add(rk_channel_copy, args, label)
    }
    /// The channels of what the step adds as kernels want to know it: 0 where it has all of the result's.
    func addedChannels(_ step: FusedStep) -> Int64 { Int64(step.fewerAdded(in: graph) ?? 0) }

    /// dst = relu?(dst + add), where the step adds a map of fewer channels and its kernels do not.
    func addFewer(_ step: FusedStep) throws(RengaError) {
        guard let add = step.add, let c = step.fewerAdded(in: graph) else { return }
        let from = ChannelRange(buffer: try input(add, of: step), c: c, offset: 0)
        let to = ChannelRange(buffer: try value(step.output), c: shape(step.output).c, offset: 0)
        try copyChannels(from, to: to, count: c, step, accumulate: true, label: "add")
        if step.activation == .relu { try rectify(step) }
    }

    /// dst = relu(dst).
    func rectify(_ step: FusedStep) throws(RengaError) {
        let dst = pointer(try value(step.output))
        let count = shape(step.output).count
        try add(rk_sum, sum(of: [dst], to: dst, elements: count, type: type(of: step), relu: true), "relu")
    }

    /// Gives what the step added its gradient: that of the sum, or of its first channels.
    func passGradient(_ ddst: BufferID, toAddOf step: FusedStep) throws(RengaError) {
        guard let add = step.add else { return }
        guard let c = step.fewerAdded(in: graph) else { return try passGradient(ddst, to: add) }
        guard let dadd = try gradientTarget(add, of: step) else { return }
        let from = ChannelRange(buffer: ddst, c: shape(step.output).c, offset: 0)
        let to = ChannelRange(buffer: dadd.buffer, c: c, offset: 0)
        try copyChannels(from, to: to, count: c, step, accumulate: dadd.accumulate, label: "backward add")
    }
}
