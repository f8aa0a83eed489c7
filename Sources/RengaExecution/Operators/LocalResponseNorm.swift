// LocalResponseNorm.swift: how normalisation over neighbouring channels runs (Krizhevsky et al. 2012).
import CRengaKernels
import RengaNetwork

extension LocalResponseNorm: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst = src (bias + alpha / size * sum of squares)^-beta.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        var args = arguments(src, step, emit)
        args.dst = emit.pointer(dst)
        try emit.add(rk_lrn, args)
    }

    /// dsrc, from src.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let ddst = try emit.gradient(step.output)
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = rk_lrn_backward_args()
        args.forward = arguments(src, step, emit)
        (args.ddst, args.dsrc) = (UnsafeRawPointer(emit.pointer(ddst)), emit.pointer(dsrc.buffer))
        args.accumulate = dsrc.accumulate ? 1 : 0
        try emit.add(rk_lrn_backward, args, "backward")
    }

    private func arguments(_ src: BufferID, _ step: FusedStep, _ emit: Emitter) -> rk_lrn_args {
        let shape = emit.shape(step.output)
        var args = rk_lrn_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.before = Int64((size - 1) / 2)
        args.after = Int64(size - 1) - args.before
        (args.alpha, args.beta, args.bias) = (Float(alpha / Double(size)), Float(beta), Float(bias))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.scratch = emit.scratch(emit.threads * rk_lrn_scratch(args.c, args.before, args.after))
        return args
    }
}
