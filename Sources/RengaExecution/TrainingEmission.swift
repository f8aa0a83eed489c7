// TrainingEmission.swift: the order of a training plan's steps: forward, loss, then backward from the last step to the first.
// Not here: the kernels of a step (Operators/), memory (Emitter), which values are recomputed (Recomputation).
import CRengaKernels
import RengaNetwork

/// Everything that emits one training program.
struct TrainingEmission {
    let steps: [FusedStep]
    let needsGradient: Set<ValueID>
    let src: Buffer
    let labels: Buffer
    let smoothing: Float
    let loss: UnsafeMutablePointer<Double>
    /// Right answers, invalid labels.
    let counts: UnsafeMutablePointer<Int64>
    /// Of a batch, allocated or not.
    let bytes: Int
    /// What is not kept for the backward pass.
    var recomputation = Recomputation.none

    func emit(_ emit: Emitter) throws(RengaError) {
        let images = emit.external(emit.graph.inputs[0].name, src.floats, floats: emit.shape(0).count, isMap: true)
        emit.place(0, in: images)
        for (group, step) in steps.enumerated() { try forward(group, step, emit) }
        try emit.whole { () throws(RengaError) in try emitLoss(emit) }
        emit.isBackward = true
        var absent = recomputation.dropped
        for (group, step) in steps.enumerated().reversed() where needsGradient.contains(step.output) {
            for again in recomputation.missing(for: group, steps, &absent) {
                try forward(again, steps[again], emit, .recomputation)
            }
            try backward(group, step, emit)
        }
    }

    private func forward(
        _ group: Int, _ step: FusedStep, _ emit: Emitter, _ passage: Passage = .forward
    ) throws(RengaError) {
        guard let gates = emit.settings.gates else { return try emit.emit(step, group: group, passage) }
        if passage == .recomputation { emit.forget(step.output) }
        emit.begin(group: group, name: emit.graph.nodes[step.node].name, passage)
        if let gated = try GatedStep(step, emit) { return try gated.forward(emit) }
        if let narrowed = try NarrowedStep(step, group, .forward, emit) { return try narrowed.forward(emit) }
        try emit.only(where: try gates.cellOfNeed(.forward, group)) { () throws(RengaError) in
            try emit.graph.nodes[step.node].executable().forward(step, emit)
        }
    }

    private func backward(_ group: Int, _ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let gates = emit.settings.gates else { return try emit.emit(step, group: group, .backward) }
        emit.begin(group: group, name: emit.graph.nodes[step.node].name, .backward)
        try gates.prepareBackward(group, step, emit)
        if let gated = try GatedStep(step, emit) { return try gated.backward(emit) }
        if let narrowed = try NarrowedStep(step, group, .backward, emit) { return try narrowed.backward(emit) }
        try emit.only(where: try gates.cellOfNeed(.backward, group)) { () throws(RengaError) in
            try emit.graph.nodes[step.node].executable().backward(step, emit)
            try emit.settleGradients()
        }
    }

    /// Softmax cross-entropy, mean over the batch, and the gradient of the logits.
    private func emitLoss(_ emit: Emitter) throws(RengaError) {
        let value = emit.graph.outputs[0]
        let shape = emit.shape(value)
        emit.begin(group: nil, name: "loss")
        var args = rk_cross_entropy_args()
        (args.isa, args.rows, args.c) = (emit.isa, Int64(shape.n), Int64(shape.c))
        args.logits = UnsafePointer(emit.floats(try emit.value(value)))
        args.labels = UnsafePointer(labels.base.assumingMemoryBound(to: Int32.self))
        args.smoothing = smoothing
        if let dlogits = try emit.gradientTarget(value) { args.dlogits = emit.floats(dlogits.buffer) }
        (args.loss, args.correct, args.invalid) = (loss, counts, counts + 1)
        args.scratch = emit.scratch(Int(clamping: rk_cross_entropy_scratch(Int64(shape.n))))
        try emit.add(rk_cross_entropy, args)
    }
}
