// Activation.swift: how functions of single elements run where no step before them could take them in.
import CRengaKernels
import RengaNetwork

extension Activation: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst = f(src).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        var args = rk_pointwise_args()
        (args.isa, args.type, args.function) = (emit.isa, emit.type(of: step), kernel)
        (args.alpha, args.beta, args.count) = (Float(alpha), Float(beta), Int64(emit.shape(step.output).count))
        (args.src, args.dst) = (UnsafeRawPointer(emit.pointer(src)), emit.pointer(dst))
        try emit.add(rk_pointwise, args)
    }

    /// dsrc = ddst f'(src).
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let ddst = try emit.gradient(step.output)
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
        var args = rk_pointwise_backward_args()
        (args.isa, args.type, args.function) = (emit.isa, emit.type(of: step), kernel)
        (args.alpha, args.beta, args.count) = (Float(alpha), Float(beta), Int64(emit.shape(step.output).count))
        (args.src, args.ddst) = (UnsafeRawPointer(emit.pointer(src)), UnsafeRawPointer(emit.pointer(ddst)))
        (args.accumulate, args.dsrc) = (dsrc.accumulate ? 1 : 0, emit.pointer(dsrc.buffer))
        try emit.add(rk_pointwise_backward, args, "backward")
    }

    private var kernel: rk_function {
        switch function {
        case .sigmoid: RK_SIGMOID
        case .tanh: RK_TANH
        case .leakyReLU: RK_LEAKY_RELU
        case .clip: RK_CLIP
        case .hardSigmoid: RK_HARD_SIGMOID
        case .hardSwish: RK_HARD_SWISH
        case .elu: RK_ELU
        case .softplus: RK_SOFTPLUS
        case .silu: RK_SILU
        }
    }
}
