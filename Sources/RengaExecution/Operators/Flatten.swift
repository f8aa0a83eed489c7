// Flatten.swift: how a flatten runs: in the order of memory not at all, since that of a map is already the vector's; else by a transposition.
import CRengaKernels
import RengaNetwork

extension Flatten: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst is src under another shape.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        let shape = emit.shape(step.inputs[0])
        if isInPlace(shape) { return emit.place(step.output, in: src) }
        let dst = try emit.value(step.output)
        var args = arguments(step, emit, rows: shape.h * shape.w, c: shape.c)
        (args.src, args.dst) = (UnsafeRawPointer(emit.pointer(src)), emit.pointer(dst))
        try emit.add(rk_transpose, args)
    }

    /// dsrc is ddst under another shape.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.inputs[0])
        let ddst = try emit.gradient(step.output)
        if isInPlace(shape) { return try emit.passGradient(ddst, to: step.inputs[0]) }
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = arguments(step, emit, rows: shape.c, c: shape.h * shape.w)
        args.src = UnsafeRawPointer(emit.pointer(ddst))
        (args.accumulate, args.dst) = (dsrc.accumulate ? 1 : 0, emit.pointer(dsrc.buffer))
        try emit.add(rk_transpose, args, "backward")
    }

    private func isInPlace(_ shape: Shape) -> Bool { order == .nhwc || shape.c == 1 || shape.h * shape.w == 1 }

    private func arguments(_ step: FusedStep, _ emit: Emitter, rows: Int, c: Int) -> rk_transpose_args {
        var args = rk_transpose_args()
        (args.isa, args.type, args.n) = (emit.isa, emit.type(of: step), Int64(emit.shape(step.output).n))
        (args.rows, args.c) = (Int64(rows), Int64(c))
        return args
    }
}
