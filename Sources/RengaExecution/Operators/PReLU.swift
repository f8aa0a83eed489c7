// PReLU.swift: how a PReLU runs where no step before it could take it in (He et al. 2015).
// Not here: its fused form (ConvolutionKernels.swift).
import CRengaKernels
import RengaNetwork

extension PReLU: Executable {
    /// Images apart, but for the gradient of the slopes.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        !backward && emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst = src where src > 0, else slope[c] src; maps `[N,H,W,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let shape = emit.shape(step.output)
        var args = rk_prelu_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.slope = UnsafePointer(emit.floats(try emit.parameter(step.node, "slope")))
        args.dst = emit.pointer(dst)
        try emit.add(rk_prelu, args)
    }

    /// dsrc and dslope, from src.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        var args = rk_prelu_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(try emit.input(step.inputs[0], of: step)))
        args.slope = UnsafePointer(emit.floats(try emit.parameter(step.node, "slope")))
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) {
            args.accumulate = dsrc.accumulate ? 1 : 0
            args.dsrc = emit.pointer(dsrc.buffer)
        }
        args.dslope = emit.parameterGradient(step.node, "slope")
        args.scratch = emit.scratch(rk_batch_norm_scratch(args.rows, args.c))
        try emit.add(rk_prelu_backward, args, "backward")
    }
}
