// NarrowedStep.swift: a convolution whose result two gates divide by channels (separated stochastic depth), in the runs in which only the
// smaller part is open: it computes those channels alone, and its backward pass reads the gradients of those alone.
// Not here: which runs those are (GateTable), the convolution in all others (Operators/).
//
// The other channels become zeros, which is what leaves them out: the batch norm behind them turns zeros into finite numbers, and the gate
// multiplies those by zero.
import CRengaKernels
import RengaNetwork

/// Channels of a convolution's result that are at times the only ones needed.
struct NarrowPart {
    /// The gate: an index of the table's entries, and which of its two parts.
    let entry: Int
    let part: Int
    let channels: Range<Int>
}

/// A convolution without bias, sum and activation.
struct NarrowedStep {
    private let step: FusedStep
    private let group: Int
    private let channels: Range<Int>
    private let gates: GateTable
    private let op: any Executable
    private let wide: rk_conv_shape
    private let narrow: rk_conv_shape

    /// The step; nil where the table knows no such part of it.
    init?(_ step: FusedStep, _ group: Int, _ pass: GateTable.Pass, _ emit: Emitter) throws(RengaError) {
        guard let gates = emit.settings.gates, let part = gates.narrowPart(pass, group),
            let op = emit.graph.nodes[step.node].op as? Convolution
        else { return nil }
        (self.step, self.group, self.gates, self.op, channels) = (step, group, gates, op, part.channels)
        wide = op.kernels(step, emit).shape
        var shape = wide
        shape.k = Int64(part.channels.count)
        narrow = shape
    }

    func forward(_ emit: Emitter) throws(RengaError) {
        try emit.alternatives { () throws(RengaError) in
            try emit.alternative(where: try gates.cell(.wide(.forward, step: group))) { () throws(RengaError) in
                try op.forward(step, emit)
            }
            try emit.alternative(where: try gates.cell(.narrow(.forward, step: group))) { () throws(RengaError) in
                try narrowForward(emit)
            }
        }
    }

    func backward(_ emit: Emitter) throws(RengaError) {
        try emit.alternatives { () throws(RengaError) in
            try emit.alternative(where: try gates.cell(.wide(.backward, step: group))) { () throws(RengaError) in
                try op.backward(step, emit)
                try emit.settleGradients()
            }
            try emit.alternative(where: try gates.cell(.narrow(.backward, step: group))) { () throws(RengaError) in
                try narrowBackward(emit)
                try emit.settleGradients()
            }
        }
    }

    // MARK: - Inside

    private var macs: Int { mapElements * weightRows }

    private func narrowForward(_ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let plan = try plan(RK_CONV_FORWARD, emit)
        let packed = try packedWeight(plan, emit)
        let part = try emit.buffer(name("part", emit), elements: mapElements, type: emit.type(of: step))
        try emit.convolve(plan, packed, from: src, to: part, "part", macs: macs)
        let from = ChannelRange(buffer: part, c: channels.count, offset: 0)
        let to = ChannelRange(buffer: try emit.value(step.output), c: Int(wide.k), offset: channels.lowerBound)
        try emit.copyChannels(from, to: to, count: channels.count, step, zeroRest: true, label: "spread")
    }

    private func narrowBackward(_ emit: Emitter) throws(RengaError) {
        let part = try emit.buffer(name("d part", emit), elements: mapElements, type: emit.type(of: step))
        let from = ChannelRange(
            buffer: try emit.gradient(step.output), c: Int(wide.k), offset: channels.lowerBound)
        let to = ChannelRange(buffer: part, c: channels.count, offset: 0)
        try emit.copyChannels(from, to: to, count: channels.count, step, label: "backward part")
        if let dweight = emit.parameterGradient(step.node, "weight") { try backwardWeight(part, dweight, emit) }
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) { try backwardData(part, dsrc, emit) }
    }

    private func backwardWeight(
        _ ddst: BufferID, _ dweight: UnsafeMutablePointer<Float>, _ emit: Emitter
    ) throws(RengaError) {
        let plan = try plan(RK_CONV_BACKWARD_WEIGHT, emit)
        let src = try emit.input(step.inputs[0], of: step)
        let part = try emit.buffer(name("d weight", emit), floats: weightRows * channels.count)
        try emit.weightGradient(plan, src: src, ddst: ddst, to: emit.floats(part), "backward weight part", macs: macs)
        var copy = weightCopy(emit)
        (copy.src_c, copy.src_offset) = (Int64(channels.count), 0)
        (copy.dst_c, copy.dst_offset, copy.zero_rest) = (wide.k, Int64(channels.lowerBound), 1)
        (copy.src, copy.dst) = (UnsafeRawPointer(emit.pointer(part)), UnsafeMutableRawPointer(dweight))
        try emit.add(rk_channel_copy, copy, "backward weight spread")
    }

    private func backwardData(_ ddst: BufferID, _ dsrc: GradientTarget, _ emit: Emitter) throws(RengaError) {
        let plan = try plan(RK_CONV_BACKWARD_DATA, emit)
        let packed = try packedWeight(plan, emit)
        try emit.convolveBack(
            plan, packed, from: ddst, to: dsrc.buffer, accumulate: dsrc.accumulate, "backward data part", macs: macs)
    }

    /// The weights of the channels alone, packed for `plan`.
    private func packedWeight(_ plan: rk_conv_plan, _ emit: Emitter) throws(RengaError) -> BufferID {
        let whole = try emit.parameter(step.node, "weight")
        let part = try emit.buffer(name("weight \(plan.pass.rawValue)", emit), floats: weightRows * channels.count)
        var copy = weightCopy(emit)
        (copy.src_c, copy.src_offset) = (wide.k, Int64(channels.lowerBound))
        (copy.dst_c, copy.dst_offset) = (Int64(channels.count), 0)
        (copy.src, copy.dst) = (UnsafeRawPointer(emit.pointer(whole)), emit.pointer(part))
        try emit.add(rk_channel_copy, copy, "weight part")
        guard plan.packed_floats > 0 else { return part }
        let packed = try emit.buffer(
            name("packed \(plan.pass.rawValue)", emit), floats: Int(clamping: plan.packed_floats))
        let args = rk_conv_pack_args(
            plan: try emit.keep(plan), weight: emit.floats(part), packed: emit.floats(packed), scale: nil,
            first: 0, channels: 0)
        try emit.add(rk_conv_pack, args, "pack part")
        return packed
    }

    /// Columns of the weights `[R,S,C,K]`, of which each output channel is one.
    private func weightCopy(_ emit: Emitter) -> rk_channel_copy_args {
        var copy = rk_channel_copy_args()
        (copy.isa, copy.type, copy.rows, copy.count) = (emit.isa, RK_F32, Int64(weightRows), Int64(channels.count))
        return copy
    }

    private func plan(_ pass: rk_conv_pass, _ emit: Emitter) throws(RengaError) -> rk_conv_plan {
        try emit.convolutionPlan(step.node, narrow, pass, emit.type(of: step), part: true)
    }

    private func name(_ what: String, _ emit: Emitter) -> String { emit.parameterName(step.node, what + ":narrow") }

    /// Parts of maps that exist and of weights that do: they have an addressable size.
    private var mapElements: Int { Int(clamping: narrow.n * narrow.oh * narrow.ow) * channels.count }
    private var weightRows: Int { Int(clamping: narrow.r * narrow.s * narrow.c) }
}
