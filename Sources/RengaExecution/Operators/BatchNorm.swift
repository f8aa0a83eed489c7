// BatchNorm.swift: how batch normalisation runs (Ioffe and Szegedy 2015): by batch or running statistics, with the sum and the ReLU that
// follow it in the same pass. Not here: folding it into a convolution (RengaRewrites).
import CRengaKernels
import RengaNetwork

extension BatchNorm: Executable {
    /// A sum with its own input would need two gradients of one value in one kernel.
    package func fusible(_ purpose: Purpose) -> Fusible { [.add, .addOfFewer, .relu, .gate] }

    /// Batch statistics in parts; those that are given images apart, except for the gradients of their parameters.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        guard emit.settings.purpose == .training else {
            return emit.fits(step.inputs + [step.output] + (step.add.map { [$0] } ?? [])) ? .images : .batch
        }
        return mode == .train ? .parts : .batch
    }

    /// dst = relu?(gamma (src - mean) / sqrt(variance + epsilon) + beta + add), all maps `[N,H,W,C]`, per-channel numbers `[C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        if emit.settings.purpose == .inference { return try scaleShift(step, emit, try constants(step, emit)) }
        if mode == .train, emit.settings.bands != .never {
            return try BatchNormParts(norm: self, step: step).forward(emit)
        }
        if mode == .train { return emit.isRecomputing ? try recompute(step, emit) : try train(step, emit) }
        try scaleShift(step, emit, try prepare(step, emit))
    }

    /// dsrc, dadd (the gradient masked by the ReLU), dgamma, dbeta.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        if mode == .train, emit.settings.bands != .never {
            return try BatchNormParts(norm: self, step: step).backward(emit)
        }
        let (mean, rstd) = try statistics(step, emit)
        let kernels = ScaleShiftKernels(step: step)
        try kernels.backward(emit, frozen: mode != .train, hasParameters: isAffine) {
            (UnsafePointer(emit.floats(mean)), UnsafePointer(emit.floats(rstd)))
        }
    }

    // MARK: - Batch statistics

    private func train(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        let (mean, rstd) = try statistics(step, emit)
        let maps = try ScaleShiftKernels(step: step).maps(emit)
        var args = rk_batch_norm_train_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        if isAffine {
            args.gamma = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
            args.beta = UnsafePointer(emit.floats(try emit.parameter(step.node, "beta")))
        }
        args.mean = emit.floats(mean)
        args.rstd = emit.floats(rstd)
        args.scale_shift = emit.floats(try scaleAndShift(step, emit))
        args.running_mean = emit.floats(try emit.parameter(step.node, "running_mean"))
        args.running_var = emit.floats(try emit.parameter(step.node, "running_variance"))
        (args.epsilon, args.momentum) = (Float(epsilon), Float(momentum))
        args.relu = step.activation == .relu ? 1 : 0
        (args.src, args.add, args.dst) = maps.pointers(emit)
        args.add_c = emit.addedChannels(step)
        args.scratch = emit.scratch(rk_batch_norm_scratch(args.rows, args.c))
        try emit.add(rk_batch_norm_train, args)
    }

    /// dst once more, by the statistics of the forward pass: running statistics do not move twice.
    private func recompute(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let c = emit.shape(step.output).c
        var args = try ScaleShiftKernels(step: step).arguments(emit)
        let block = emit.floats(try scaleAndShift(step, emit))
        args.center = UnsafePointer(emit.floats(try statistics(step, emit).mean))
        args.scale = UnsafePointer(block)
        args.shift = block.map { UnsafePointer($0 + c) }
        try emit.add(rk_scale_shift, args)
    }

    /// `[2,C]`: what the forward pass multiplied by and added, with the batch's statistics in it.
    private func scaleAndShift(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> BufferID {
        try emit.saved(emit.parameterName(step.node, "scale_shift"), floats: 2 * emit.shape(step.output).c)
    }

    /// Mean and 1 / sqrt(variance + epsilon) that the forward pass used.
    private func statistics(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> (mean: BufferID, rstd: BufferID) {
        let c = emit.shape(step.output).c
        let rstd = try emit.saved(emit.parameterName(step.node, "rstd"), floats: c)
        guard mode == .train else { return (try emit.parameter(step.node, "running_mean"), rstd) }
        return (try emit.saved(emit.parameterName(step.node, "mean"), floats: c), rstd)
    }

    // MARK: - Running statistics

    private func scaleShift(
        _ step: FusedStep, _ emit: Emitter, _ numbers: (scale: BufferID, shift: BufferID)
    ) throws(RengaError) {
        var args = try ScaleShiftKernels(step: step).arguments(emit)
        args.scale = UnsafePointer(emit.floats(numbers.scale))
        args.shift = UnsafePointer(emit.floats(numbers.shift))
        try emit.add(rk_scale_shift, args)
    }

    /// Scale and shift by this run's parameters, and rstd for the backward pass.
    private func prepare(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> (scale: BufferID, shift: BufferID) {
        let c = emit.shape(step.output).c
        let scale = try emit.buffer(emit.parameterName(step.node, "scale"), floats: c)
        let shift = try emit.buffer(emit.parameterName(step.node, "shift"), floats: c)
        var args = rk_batch_norm_prepare_args()
        (args.c, args.epsilon) = (Int64(c), Float(epsilon))
        if isAffine {
            args.gamma = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
            args.beta = UnsafePointer(emit.floats(try emit.parameter(step.node, "beta")))
        }
        args.mean = UnsafePointer(emit.floats(try emit.parameter(step.node, "running_mean")))
        args.var = UnsafePointer(emit.floats(try emit.parameter(step.node, "running_variance")))
        args.scale = emit.floats(scale)
        args.shift = emit.floats(shift)
        args.rstd = emit.floats(try statistics(step, emit).rstd)
        try emit.add(rk_batch_norm_prepare, args, "prepare")
        return (scale, shift)
    }

    /// Scale and shift, computed once, one behind the other: `[2 C]`.
    private func constants(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> (scale: BufferID, shift: BufferID)
    {
        let c = emit.shape(step.output).c
        let name = emit.parameterName(step.node, "scale_shift")
        let block = try emit.constantPointer(name, floats: 2 * c) { dst throws(RengaError) in
            // Copies for the moment: what is kept is what comes of them.
            var copies: [Buffer] = []
            func parameter(_ name: String) throws(RengaError) -> UnsafePointer<Float> {
                let copy = try Buffer(floats: c, zeroed: false, for: "'\(name)'")
                try emit.weights.withValues(emit.parameterName(step.node, name)) { values in
                    if let base = values.baseAddress { copy.floats.update(from: base, count: c) }
                }
                copies.append(copy)
                return UnsafePointer(copy.floats)
            }
            var args = rk_batch_norm_prepare_args()
            (args.c, args.epsilon) = (Int64(c), Float(epsilon))
            if isAffine { (args.gamma, args.beta) = (try parameter("gamma"), try parameter("beta")) }
            (args.mean, args.var) = (try parameter("running_mean"), try parameter("running_variance"))
            (args.scale, args.shift) = (dst, dst + c)
            let program = Program()
            try program.add("prepare", rk_batch_norm_prepare, args)
            withExtendedLifetime(copies) { program.run(threads: 1) }
        }
        return (emit.external(name, block, floats: c), emit.external(name, block + c, floats: c))
    }
}
