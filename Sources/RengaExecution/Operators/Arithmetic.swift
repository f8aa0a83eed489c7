// Arithmetic.swift: how two maps are combined element by element.
// Not here: sums that other steps take in (Add.swift).
import CRengaKernels
import RengaNetwork

extension Arithmetic: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst = src[0] o src[1].
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let sources = try sources(step, emit)
        let dst = try emit.value(step.output)
        for (value, src) in zip(step.inputs, sources) where emit.shape(value) == emit.shape(step.output) {
            emit.mayReplace(src, by: dst)
        }
        var args = arguments(sources, step, emit)
        args.dst = emit.pointer(dst)
        try emit.add(rk_arithmetic, args)
    }

    /// dsrc: ddst times the derivative, summed where one element met many.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        for (which, value) in step.inputs.enumerated() {
            let sources = try sources(step, emit)
            guard let dsrc = try emit.gradientTarget(value, of: step) else { continue }
            var args = rk_arithmetic_backward_args()
            args.forward = arguments(sources, step, emit)
            (args.which, args.accumulate) = (Int32(which), dsrc.accumulate ? 1 : 0)
            (args.ddst, args.dsrc) = (UnsafeRawPointer(emit.pointer(ddst)), emit.pointer(dsrc.buffer))
            try emit.add(rk_arithmetic_backward, args, "backward")
        }
    }

    /// Before the step's first pointer.
    private func sources(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> [BufferID] {
        try step.inputs.map { value throws(RengaError) in try emit.input(value, of: step) }
    }

    private func arguments(_ sources: [BufferID], _ step: FusedStep, _ emit: Emitter) -> rk_arithmetic_args {
        let shape = emit.shape(step.output)
        func extents(_ value: ValueID) -> rk_extents {
            let shape = emit.shape(value)
            return rk_extents(h: Int64(shape.h), w: Int64(shape.w), c: Int64(shape.c))
        }
        var args = rk_arithmetic_args()
        (args.isa, args.type, args.pairing) = (emit.isa, emit.type(of: step), kernel)
        (args.n, args.h, args.w, args.c) = (Int64(shape.n), Int64(shape.h), Int64(shape.w), Int64(shape.c))
        args.extents = (extents(step.inputs[0]), extents(step.inputs[1]))
        args.src = (UnsafeRawPointer(emit.pointer(sources[0])), UnsafeRawPointer(emit.pointer(sources[1])))
        return args
    }

    private var kernel: rk_pairing {
        switch function {
        case .multiply: RK_MULTIPLY
        case .add: RK_ADD
        case .subtract: RK_SUBTRACT
        case .divide: RK_DIVIDE
        case .maximum: RK_MAXIMUM
        case .minimum: RK_MINIMUM
        }
    }
}
