// GatedStep.swift: a fused step with a gate of stochastic depth for the whole batch: the ways in which it runs, of which each run takes one.
// Not here: which one (GateTable), operators (Operators/), gates that are steps of their own (Operators/StochasticGate.swift).
//
// All gates open: the step as if it had none, with its kernels' fused sum and activation. All closed, and closed work left out: only what is
// added. Otherwise: the operator alone, then the gate with sum and activation. No kernel of an operator knows about gates.
import CRengaKernels
import RengaNetwork

/// dst = activation(gate(op(inputs)) + add).
struct GatedStep {
    private let step: FusedStep
    private let entry: GateTable.Entry
    private let gates: GateTable
    private let op: any Executable

    /// The step with its gate; nil where it has none.
    init?(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let node = step.gate, let gates = emit.settings.gates, let entry = gates.entry(ofNode: node) else {
            return nil
        }
        (self.step, self.entry, self.gates) = (step, entry, gates)
        op = try emit.graph.nodes[step.node].executable()
    }

    func forward(_ emit: Emitter) throws(RengaError) {
        try emit.alternatives { () throws(RengaError) in
            try alternative(.allOpen(.forward, step: entry.step), emit) { () throws(RengaError) in
                try op.forward(ungated, emit)
            }
            if runsPartly(.forward) {
                try alternative(.partlyOpen(.forward, step: entry.step), emit) { () throws(RengaError) in
                    try partlyForward(emit)
                }
            }
            if gates.canSkip(.forward, entry.step) {
                try alternative(.closed(.forward, step: entry.step), emit) { () throws(RengaError) in
                    try closedForward(emit)
                }
            }
        }
    }

    func backward(_ emit: Emitter) throws(RengaError) {
        try emit.alternatives { () throws(RengaError) in
            try alternative(.allOpen(.backward, step: entry.step), emit) { () throws(RengaError) in
                try op.backward(ungated, emit)
                try emit.settleGradients()
            }
            if runsPartly(.backward) {
                try alternative(.partlyOpen(.backward, step: entry.step), emit) { () throws(RengaError) in
                    try partlyBackward(emit)
                }
            }
            if gates.canSkip(.backward, entry.step) {
                try alternative(.closed(.backward, step: entry.step), emit) { () throws(RengaError) in
                    _ = try addedBackward(emit)
                    try emit.settleGradients()
                }
            }
        }
    }

    // MARK: - Inside

    /// The step without its gate.
    private var ungated: FusedStep {
        var step = step
        step.gate = nil
        return step
    }

    /// The operator before the gate alone; it makes a value of its own.
    private func plain(_ emit: Emitter) -> FusedStep {
        FusedStep(
            node: step.node, inputs: step.inputs, output: emit.graph.value(ofNode: step.node), nodes: [step.node])
    }

    private func runsPartly(_ pass: GateTable.Pass) -> Bool { entry.parts > 1 || !gates.canSkip(pass, entry.step) }

    private func alternative(
        _ condition: GateTable.Condition, _ emit: Emitter, _ body: () throws(RengaError) -> Void
    ) throws(RengaError) {
        try emit.alternative(where: try gates.cell(condition), body)
    }

    private func partlyForward(_ emit: Emitter) throws(RengaError) {
        let plain = plain(emit)
        let keeps = entry.parts > 1 && gates.canSkip(.forward, entry.step) && !emit.isRecomputing
        if keeps { try moveClosedStatistics(emit, back: false) }
        try op.forward(plain, emit)
        if keeps { try moveClosedStatistics(emit, back: true) }
        let src = try emit.input(plain.output, of: step)
        // Nobody else reads it, and a second run makes it anew.
        emit.forget(plain.output)
        let add = try step.add.map { value throws(RengaError) in try emit.input(value, of: step) }
        let dst = try emit.value(step.output)
        var args = factors(emit)
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.add = add.flatMap { UnsafeRawPointer(emit.pointer($0)) }
        args.add_c = emit.addedChannels(step)
        args.relu = step.activation == .relu ? 1 : 0
        args.dst = emit.pointer(dst)
        try emit.add(rk_scale_shift, args, "gate")
    }

    /// dst = relu?(add), or 0.
    private func closedForward(_ emit: Emitter) throws(RengaError) {
        guard let add = step.add else { return try emit.clear(try emit.value(step.output), "closed") }
        let src = try emit.input(add, of: step)
        let dst = try emit.value(step.output)
        if let c = step.fewerAdded(in: emit.graph) {
            let from = ChannelRange(buffer: src, c: c, offset: 0)
            let to = ChannelRange(buffer: dst, c: emit.shape(step.output).c, offset: 0)
            try emit.copyChannels(from, to: to, count: c, step, zeroRest: true, label: "closed")
            return step.activation == .relu ? try emit.rectify(step) : ()
        }
        emit.mayReplace(src, by: dst)
        let args = emit.sum(
            of: [emit.pointer(src)], to: emit.pointer(dst), elements: emit.shape(step.output).count,
            type: emit.type(of: step), relu: step.activation == .relu)
        try emit.add(rk_sum, args, "closed")
    }

    /// The running statistics of closed channels stay where they are, though the batch norm of the open ones runs: they are put aside and back.
    private func moveClosedStatistics(_ emit: Emitter, back: Bool) throws(RengaError) {
        guard let norm = op as? BatchNorm, norm.mode == .train else { return }
        for (part, channels) in entry.op.channels(emit.shape(step.output).c).enumerated() {
            let cell = try gates.cell(.partClosed(step: entry.step, part: part))
            for name in ["running_mean", "running_variance"] {
                let full = emit.parameterName(step.node, name)
                let aside = try emit.saved("\(full) aside \(part)", floats: channels.count)
                try emit.only(where: cell) { () throws(RengaError) in
                    let kept = emit.floats(aside)
                    let running = emit.floats(try emit.parameter(step.node, name)).map { $0 + channels.lowerBound }
                    let (src, dst) = back ? (kept, running) : (running, kept)
                    let args = emit.sum(
                        of: [UnsafeMutableRawPointer(src)], to: UnsafeMutableRawPointer(dst), elements: channels.count,
                        type: RK_F32)
                    try emit.add(rk_sum, args, back ? "\(name) back" : "\(name) aside")
                }
            }
        }
    }

    /// Gives what was added its gradient; returns that of the sum.
    private func addedBackward(_ emit: Emitter) throws(RengaError) -> BufferID {
        if step.activation == .relu { try emit.maskGradient(step.output) }
        let ddst = try emit.gradient(step.output)
        try emit.passGradient(ddst, toAddOf: step)
        return ddst
    }

    private func partlyBackward(_ emit: Emitter) throws(RengaError) {
        let plain = plain(emit)
        let ddst = try addedBackward(emit)
        let name = "d " + emit.graph.name(of: plain.output)
        let dgated = try emit.buffer(name, elements: emit.shape(step.output).count, type: emit.type(of: step))
        var args = factors(emit)
        args.src = UnsafeRawPointer(emit.pointer(ddst))
        args.dst = emit.pointer(dgated)
        try emit.add(rk_scale_shift, args, "backward gate")
        emit.gradients[plain.output] = try emit.converted(dgated, to: emit.type(of: plain.output), name)
        try op.backward(plain, emit)
        try emit.settleGradients()
    }

    /// dst = src factor, a factor for each channel.
    private func factors(_ emit: Emitter) -> rk_scale_shift_args {
        let shape = emit.shape(step.output)
        var args = rk_scale_shift_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.scale = UnsafePointer(entry.factors.floats)
        args.shift = UnsafePointer(entry.factors.floats + shape.c)
        return args
    }
}
