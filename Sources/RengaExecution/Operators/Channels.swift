// Channels.swift: how concatenation, slices and zero-padding of channels run: copies of channel ranges, row by row.
// Not here: concatenation without a copy (producers that write into the wide map).
import CRengaKernels
import RengaNetwork

extension Concat: Executable {
    /// src[i] `[N,H,W,C_i]` to its place in dst `[N,H,W,C_0 + C_1 + …]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let dst = try emit.value(step.output)
        let width = emit.shape(step.output).c
        var offset = 0
        for input in step.inputs {
            let c = emit.shape(input).c
            let from = ChannelRange(buffer: try emit.value(input), c: c, offset: 0)
            try emit.copyChannels(from, to: ChannelRange(buffer: dst, c: width, offset: offset), count: c, step)
            offset += c
        }
    }

    /// Each input gets its channels of ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        let width = emit.shape(step.output).c
        var offset = 0
        for input in step.inputs {
            let c = emit.shape(input).c
            if let dsrc = try emit.gradientTarget(input) {
                let from = ChannelRange(buffer: ddst, c: width, offset: offset)
                let to = ChannelRange(buffer: dsrc.buffer, c: c, offset: 0)
                try emit.copyChannels(from, to: to, count: c, step, accumulate: dsrc.accumulate, label: "backward")
            }
            offset += c
        }
    }
}

extension ChannelSlice: Executable {
    /// Channels begin ..< begin + count of src.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let from = ChannelRange(
            buffer: try emit.value(step.inputs[0]), c: emit.shape(step.inputs[0]).c, offset: begin)
        let to = ChannelRange(buffer: try emit.value(step.output), c: count, offset: 0)
        try emit.copyChannels(from, to: to, count: count, step)
    }

    /// ddst in its channels of dsrc, zeros in the others.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0]) else { return }
        let from = ChannelRange(buffer: try emit.gradient(step.output), c: count, offset: 0)
        let to = ChannelRange(buffer: dsrc.buffer, c: emit.shape(step.inputs[0]).c, offset: begin)
        try emit.copyChannels(
            from, to: to, count: count, step, accumulate: dsrc.accumulate, zeroRest: !dsrc.accumulate, label: "backward"
        )
    }
}

extension ChannelPad: Executable {
    /// src between zero channels.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let c = emit.shape(step.inputs[0]).c
        let from = ChannelRange(buffer: try emit.value(step.inputs[0]), c: c, offset: 0)
        let to = ChannelRange(buffer: try emit.value(step.output), c: emit.shape(step.output).c, offset: before)
        try emit.copyChannels(from, to: to, count: c, step, zeroRest: true)
    }

    /// dsrc: the channels of ddst that are not padding.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0]) else { return }
        let c = emit.shape(step.inputs[0]).c
        let from = ChannelRange(buffer: try emit.gradient(step.output), c: emit.shape(step.output).c, offset: before)
        let to = ChannelRange(buffer: dsrc.buffer, c: c, offset: 0)
        try emit.copyChannels(from, to: to, count: c, step, accumulate: dsrc.accumulate, label: "backward")
    }
}

/// Channels of a map from an offset on.
private struct ChannelRange {
    let buffer: BufferID
    /// All channels of the map.
    let c: Int
    let offset: Int
}

extension Emitter {
    fileprivate func copyChannels(
        _ from: ChannelRange, to: ChannelRange, count: Int, _ step: FusedStep, accumulate: Bool = false,
        zeroRest: Bool = false, label: String = ""
    ) throws(RengaError) {
        var args = rk_channel_copy_args()
        (args.isa, args.rows, args.count) = (isa, Int64(shape(step.output).rows), Int64(count))
        (args.src_c, args.src_offset) = (Int64(from.c), Int64(from.offset))
        (args.dst_c, args.dst_offset) = (Int64(to.c), Int64(to.offset))
        args.src = UnsafePointer(pointer(from.buffer))
        (args.accumulate, args.zero_rest) = (accumulate ? 1 : 0, zeroRest ? 1 : 0)
        args.dst = pointer(to.buffer)
        try add(rk_channel_copy, args, label)
    }
}
