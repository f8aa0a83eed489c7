// GatherKernels.swift: what pad and slice share: both passes of a gather by one table an axis.
// Not here: the operators (Pad.swift, Slice.swift).
import CRengaKernels
import RengaNetwork

/// Emits the passes of a step whose elements each come from one place or from none.
struct GatherKernels {
    let step: FusedStep
    /// What stands where an element comes from no place.
    let value: Double
    /// Where place i of the result comes from, along each axis: -1 for no place.
    let row, column, channel: (Int) -> Int

    func forward(_ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        var args = try arguments(emit)
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.dst = emit.pointer(try emit.value(step.output))
        try emit.add(rk_gather, args)
    }

    func backward(_ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = rk_gather_backward_args()
        args.forward = try arguments(emit)
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        (args.accumulate, args.dsrc) = (dsrc.accumulate ? 1 : 0, emit.pointer(dsrc.buffer))
        try emit.add(rk_gather_backward, args, "backward")
    }

    private func arguments(_ emit: Emitter) throws(RengaError) -> rk_gather_args {
        let (src, dst) = (emit.shape(step.inputs[0]), emit.shape(step.output))
        var args = rk_gather_args()
        (args.isa, args.type, args.value) = (emit.isa, emit.type(of: step), Float(value))
        (args.n, args.h, args.w, args.c) = (Int64(src.n), Int64(src.h), Int64(src.w), Int64(src.c))
        (args.oh, args.ow, args.oc) = (Int64(dst.h), Int64(dst.w), Int64(dst.c))
        args.rows = try table(dst.h, row, emit)
        args.columns = try table(dst.w, column, emit)
        let takesAll = src.c == dst.c && (0..<dst.c).allSatisfy { channel($0) == $0 }
        args.channels = takesAll ? nil : try table(dst.c, channel, emit)
        return args
    }

    private func table(_ count: Int, _ source: (Int) -> Int, _ emit: Emitter) throws(RengaError) -> UnsafePointer<
        Int32
    >? {
        try emit.table(count) { table in
            for i in 0..<count { table[i] = Int32(clamping: source(i)) }
        }
    }
}

/// An operator that only says from where each place of its result comes: one table an axis.
protocol Gathering: Executable {
    /// The tables for this step.
    func kernels(_ step: FusedStep, _ emit: Emitter) -> GatherKernels
}

extension Gathering {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst: src at the places of the tables.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).forward(emit)
    }

    /// dsrc: the sum of ddst over the places that an element stands in.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).backward(emit)
    }
}
