// ChannelKernels.swift: a range of channels copied from one map to another, row by row.
// Not here: the operators (Concat.swift, ChannelSlice.swift, ChannelPad.swift).
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
}
