// BatchNormParts.swift: how batch normalisation by batch statistics runs beside bands: sums over parts of the batch, what follows from all of
// them, and what is done to each part with it. So sums are taken while the layer before leaves its results in cache, and results are made
// in cache where the next layer wants them; in the backward pass they are made again instead of having been kept.
// Not here: running statistics and folding (BatchNorm.swift).
import CRengaKernels
import RengaNetwork

/// Emits the passes of a batch norm for the step of node `step.node`.
struct BatchNormParts {
    let norm: BatchNorm
    let step: FusedStep

    /// Moments | statistics | (src - mean) scale + shift + add, ReLU.
    func forward(_ emit: Emitter) throws(RengaError) {
        if emit.isRecomputing { return try apply(emit) }
        try emit.local { () throws(RengaError) in try moments(emit) }
        try emit.whole { () throws(RengaError) in try finish(emit) }
        // Of a chain of sums every other one is kept: the one behind it is made from it, and reads as much as if it had been kept itself.
        if step.add.map(emit.isKept) ?? true {
            emit.recipe(step.output) { () throws(RengaError) in try apply(emit) }
        }
        try emit.local { () throws(RengaError) in try apply(emit) }
    }

    /// Sums of the gradient | dgamma, dbeta | dsrc, dadd.
    func backward(_ emit: Emitter) throws(RengaError) {
        try emit.local { () throws(RengaError) in try gradients(emit) }
        try emit.whole { () throws(RengaError) in try finishGradients(emit) }
        try emit.local { () throws(RengaError) in
            try applyGradients(emit)
            try emit.settleGradients()
        }
    }

    // MARK: - Forward

    private func moments(_ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        let src = try emit.input(step.inputs[0], of: step)
        var args = rk_batch_norm_moments_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.moments = emit.floats(
            try emit.chunked(name("moments", emit), floats: rk_batch_norm_moments_floats(args.rows, args.c)))
        try emit.add(rk_batch_norm_moments, args, "moments")
    }

    private func finish(_ emit: Emitter) throws(RengaError) {
        let shape = emit.graph.shapes[step.output]
        let moments = try emit.chunked(name("moments", emit), floats: 0)
        let parts = emit.parts(moments)
        var args = rk_batch_norm_finish_args()
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.part_rows = Int64(shape.rows / shape.n * parts.images)
        args.part_step = Int64(parts.step)
        args.moments = UnsafePointer(emit.floats(moments))
        if norm.isAffine {
            args.gamma = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
            args.beta = UnsafePointer(emit.floats(try emit.parameter(step.node, "beta")))
        }
        args.mean = emit.floats(try channels("mean", emit))
        args.rstd = emit.floats(try channels("rstd", emit))
        args.scale = emit.floats(try channels("scale", emit))
        args.shift = emit.floats(try channels("shift", emit))
        args.running_mean = emit.floats(try emit.parameter(step.node, "running_mean"))
        args.running_var = emit.floats(try emit.parameter(step.node, "running_variance"))
        (args.epsilon, args.momentum) = (Float(norm.epsilon), Float(norm.momentum))
        try emit.add(rk_batch_norm_finish, args, "statistics")
    }

    private func apply(_ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        let src = try emit.input(step.inputs[0], of: step)
        let add = try step.add.map { value throws(RengaError) in try emit.input(value, of: step) }
        let dst = try emit.value(step.output)
        for old in [src, add].compactMap(\.self) { emit.mayReplace(old, by: dst) }
        var args = rk_scale_shift_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.center = UnsafePointer(emit.floats(try channels("mean", emit)))
        args.scale = UnsafePointer(emit.floats(try channels("scale", emit)))
        args.shift = UnsafePointer(emit.floats(try channels("shift", emit)))
        args.relu = step.activation == .relu ? 1 : 0
        args.src = UnsafeRawPointer(emit.pointer(src))
        if let add { args.add = UnsafeRawPointer(emit.pointer(add)) }
        args.add_c = emit.addedChannels(step)
        args.dst = emit.pointer(dst)
        try emit.add(rk_scale_shift, args)
    }

    // MARK: - Backward

    /// The ReLU's mask: from the source, or from the result where something was added.
    private typealias Mask = (
        dst: UnsafeRawPointer?, scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?
    )

    /// The sums leave such a gradient masked, while the result is in cache: what comes later need not read it, nor make it again.
    private var isMaskedByResult: Bool { step.activation == .relu && step.add != nil }

    private func mask(_ emit: Emitter) throws(RengaError) -> Mask {
        guard step.activation == .relu else { return (nil, nil, nil) }
        if isMaskedByResult { return (UnsafeRawPointer(emit.pointer(try emit.value(step.output))), nil, nil) }
        return (
            nil, UnsafePointer(emit.floats(try channels("scale", emit))),
            UnsafePointer(emit.floats(try channels("shift", emit)))
        )
    }

    private func gradients(_ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        let src = try emit.input(step.inputs[0], of: step)
        var args = rk_batch_norm_gradients_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        args.mean = UnsafePointer(emit.floats(try channels("mean", emit)))
        (args.dst, args.mask_scale, args.mask_shift) = try mask(emit)
        if isMaskedByResult { args.masked = UnsafeMutableRawPointer(mutating: args.ddst) }
        args.gradients = emit.floats(
            try emit.chunked(name("gradients", emit), floats: rk_batch_norm_gradients_floats(args.rows, args.c)))
        try emit.add(rk_batch_norm_gradients, args, "backward sums")
    }

    private func finishGradients(_ emit: Emitter) throws(RengaError) {
        let shape = emit.graph.shapes[step.output]
        let gradients = try emit.chunked(name("gradients", emit), floats: 0)
        let parts = emit.parts(gradients)
        var args = rk_batch_norm_gradients_finish_args()
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.part_rows = Int64(shape.rows / shape.n * parts.images)
        args.part_step = Int64(parts.step)
        args.gradients = UnsafePointer(emit.floats(gradients))
        args.rstd = UnsafePointer(emit.floats(try channels("rstd", emit)))
        if norm.isAffine {
            args.gamma = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
            args.dgamma = emit.parameterGradient(step.node, "gamma")
            args.dbeta = emit.parameterGradient(step.node, "beta")
        }
        args.scale = emit.floats(try channels("backward scale", emit))
        args.slope = emit.floats(try channels("backward slope", emit))
        args.shift = emit.floats(try channels("backward shift", emit))
        try emit.add(rk_batch_norm_gradients_finish, args, "backward statistics")
    }

    private func applyGradients(_ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let dsrc = try emit.gradientTarget(step.inputs[0], of: step)
        let dadd = try step.add.flatMap { value throws(RengaError) in try emit.gradientTarget(value, of: step) }
        guard dsrc != nil || dadd != nil else { return }
        let shape = emit.shape(step.output)
        let ddst = try emit.gradient(step.output)
        var args = rk_batch_norm_gradients_apply_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.ddst = UnsafeRawPointer(emit.pointer(ddst))
        args.mean = UnsafePointer(emit.floats(try channels("mean", emit)))
        if !isMaskedByResult { (args.dst, args.mask_scale, args.mask_shift) = try mask(emit) }
        args.scale = UnsafePointer(emit.floats(try channels("backward scale", emit)))
        args.slope = UnsafePointer(emit.floats(try channels("backward slope", emit)))
        args.shift = UnsafePointer(emit.floats(try channels("backward shift", emit)))
        if let dsrc {
            if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
            args.dsrc = emit.pointer(dsrc.buffer)
            args.accumulate_dsrc = dsrc.accumulate ? 1 : 0
        }
        if let dadd {
            args.dadd_c = emit.addedChannels(step)
            // Only if dsrc did not take the place.
            if !dadd.accumulate, args.dadd_c == 0 { emit.mayReplace(ddst, by: dadd.buffer) }
            args.dadd = emit.pointer(dadd.buffer)
            args.accumulate_dadd = dadd.accumulate ? 1 : 0
        }
        try emit.add(rk_batch_norm_gradients_apply, args, "backward")
    }

    // MARK: - Names

    private func name(_ what: String, _ emit: Emitter) -> String { emit.parameterName(step.node, what) }

    private func channels(_ what: String, _ emit: Emitter) throws(RengaError) -> BufferID {
        try emit.saved(name(what, emit), floats: emit.graph.shapes[step.output].c)
    }
}
