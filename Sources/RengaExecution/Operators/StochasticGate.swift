// StochasticGate.swift: how a gate of stochastic depth runs where it is a step of its own: gates for each sample, and gates that no step
// before them could take in. Not here: gates inside other steps (GatedStep), what is skipped behind a closed gate (GateTable).
import CRengaKernels
import RengaNetwork

extension StochasticGate: Executable {
    /// The sum and the ReLU behind it.
    package func fusible(_ purpose: Purpose) -> Fusible { [.add, .addOfFewer, .relu] }

    /// dst = relu?(gate(src) + add); in inference the gate is its survival probability.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let add = try step.add.map { value throws(RengaError) in try emit.input(value, of: step) }
        let dst = try emit.value(step.output)
        if emit.settings.purpose == .inference { return try scale(src, add, to: dst, step, emit) }
        let addsFewer = step.fewerAdded(in: emit.graph) != nil
        var args = try arguments(step, emit)
        args.src = UnsafeRawPointer(emit.pointer(src))
        if !addsFewer {
            args.add = add.flatMap { UnsafeRawPointer(emit.pointer($0)) }
            args.relu = step.activation == .relu ? 1 : 0
        }
        args.dst = emit.pointer(dst)
        try emit.add(rk_gate, args)
        if addsFewer { try emit.addFewer(step) }
    }

    /// dsrc = gate(ddst), dadd = ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        if step.activation == .relu { try emit.maskGradient(step.output) }
        let ddst = try emit.gradient(step.output)
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) {
            var args = try arguments(step, emit)
            args.src = UnsafeRawPointer(emit.pointer(ddst))
            args.dst = emit.pointer(dsrc.buffer)
            if dsrc.accumulate { args.add = UnsafeRawPointer(args.dst) }
            try emit.add(rk_gate, args, "backward")
        }
        try emit.passGradient(ddst, toAddOf: step)
    }

    /// A gate for the whole batch is one for a single sample of all pixels.
    private func arguments(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> rk_gate_args {
        guard let entry = emit.settings.gates?.entry(ofNode: step.node) else {
            throw RengaError(.internalFault, "a plan with gates draws none")
        }
        let shape = emit.shape(step.output)
        var args = rk_gate_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        args.n = scope == .sample ? Int64(shape.n) : 1
        args.pixels = Int64(shape.rows) / args.n
        args.c = Int64(shape.c)
        args.split = split == 0 ? args.c : Int64(split)
        args.gates = UnsafePointer(entry.values.floats)
        return args
    }

    private func scale(
        _ src: BufferID, _ add: BufferID?, to dst: BufferID, _ step: FusedStep, _ emit: Emitter
    ) throws(RengaError) {
        let shape = emit.shape(step.output)
        let name = "\(emit.graph.nodes[step.node].name).survival"
        let factors = try emit.constantPointer(name, floats: 2 * shape.c) { dst throws(RengaError) in
            for (part, channels) in channels(shape.c).enumerated() {
                for channel in channels { dst[channel] = Float(survivals[part]) }
            }
        }
        var args = rk_scale_shift_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.add = add.flatMap { UnsafeRawPointer(emit.pointer($0)) }
        args.add_c = emit.addedChannels(step)
        (args.scale, args.shift) = (UnsafePointer(factors), UnsafePointer(factors + shape.c))
        args.relu = step.activation == .relu ? 1 : 0
        args.dst = emit.pointer(dst)
        try emit.add(rk_scale_shift, args)
    }
}
