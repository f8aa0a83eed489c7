// GlobalAveragePool.swift: how the mean over the whole map runs.
import CRengaKernels
import RengaNetwork

extension GlobalAveragePool: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src `[N,H,W,C]`, dst `[N,1,1,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.inputs[0])
        var args = rk_global_average_args()
        (args.isa, args.type, args.n) = (emit.isa, emit.type(of: step), Int64(shape.n))
        (args.pixels, args.c) = (Int64(shape.h * shape.w), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(try emit.input(step.inputs[0], of: step)))
        args.dst = emit.pointer(try emit.value(step.output))
        try emit.add(rk_global_average, args)
    }

    /// dsrc: the gradient in equal parts.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let shape = emit.shape(step.inputs[0])
        var args = rk_global_average_backward_args()
        (args.isa, args.type, args.n) = (emit.isa, emit.type(of: step), Int64(shape.n))
        (args.pixels, args.c) = (Int64(shape.h * shape.w), Int64(shape.c))
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = emit.pointer(dsrc.buffer)
        try emit.add(rk_global_average_backward, args, "backward")
    }
}
