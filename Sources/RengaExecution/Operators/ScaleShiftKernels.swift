// ScaleShiftKernels.swift: what operators share that multiply and shift each channel: the maps that a step reads and writes, and the
// backward pass. Not here: where the numbers come from (BatchNorm.swift, Scale.swift).
import CRengaKernels
import RengaNetwork

/// Emits passes of dst = relu?((src - mean) rstd gamma + beta + add).
struct ScaleShiftKernels {
    let step: FusedStep

    struct Maps {
        let src, dst: BufferID
        let add: BufferID?

        func pointers(
            _ emit: Emitter
        ) -> (src: UnsafeRawPointer?, add: UnsafeRawPointer?, dst: UnsafeMutableRawPointer?) {
            for old in [src, add].compactMap(\.self) { emit.mayReplace(old, by: dst) }
            return (
                UnsafeRawPointer(emit.pointer(src)), add.flatMap { UnsafeRawPointer(emit.pointer($0)) },
                emit.pointer(dst)
            )
        }
    }

    /// Before the step's first pointer.
    func maps(_ emit: Emitter) throws(RengaError) -> Maps {
        let src = try emit.input(step.inputs[0], of: step)
        let add = try step.add.map { value throws(RengaError) in try emit.input(value, of: step) }
        return Maps(src: src, dst: try emit.value(step.output), add: add)
    }

    /// All but scale and shift. Before the step's first pointer.
    func arguments(_ emit: Emitter) throws(RengaError) -> rk_scale_shift_args {
        let shape = emit.shape(step.output)
        let maps = try self.maps(emit)
        var args = rk_scale_shift_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.relu = step.activation == .relu ? 1 : 0
        (args.src, args.add, args.dst) = maps.pointers(emit)
        args.add_c = emit.addedChannels(step)
        return args
    }

    /// dsrc, dadd (the gradient masked by the ReLU), dgamma, dbeta. frozen: mean and rstd are constants.
    func backward(
        _ emit: Emitter, frozen: Bool, hasParameters: Bool,
        _ statistics: () throws(RengaError) -> (mean: UnsafePointer<Float>?, rstd: UnsafePointer<Float>?)
    ) throws(RengaError) {
        let shape = emit.shape(step.output)
        let ddst = try emit.gradient(step.output)
        let src = try emit.input(step.inputs[0], of: step)
        var args = rk_batch_norm_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.frozen_stats = frozen ? 1 : 0
        args.ddst = UnsafeRawPointer(emit.pointer(ddst))
        args.relu = step.activation == .relu ? 1 : 0
        if step.activation == .relu { args.dst = UnsafeRawPointer(emit.pointer(try emit.value(step.output))) }
        args.src = UnsafeRawPointer(emit.pointer(src))
        (args.mean, args.rstd) = try statistics()
        if hasParameters {
            args.gamma = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
            args.dgamma = emit.parameterGradient(step.node, "gamma")
            args.dbeta = emit.parameterGradient(step.node, "beta")
        }
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) {
            if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
            args.dsrc = emit.pointer(dsrc.buffer)
            args.accumulate_dsrc = dsrc.accumulate ? 1 : 0
        }
        if let add = step.add, let dadd = try emit.gradientTarget(add, of: step) {
            args.dadd_c = emit.addedChannels(step)
            // Only if dsrc did not take the place.
            if !dadd.accumulate, args.dadd_c == 0 { emit.mayReplace(ddst, by: dadd.buffer) }
            args.dadd = emit.pointer(dadd.buffer)
            args.accumulate_dadd = dadd.accumulate ? 1 : 0
        }
        args.scratch = emit.scratch(rk_batch_norm_scratch(args.rows, args.c))
        try emit.add(rk_batch_norm_backward, args, "backward")
    }
}

extension Emitter {
    /// The same number for each of `c` channels, for as long as the program lives. nil while measuring.
    func channels(_ c: Int, of number: Float) throws(RengaError) -> UnsafePointer<Float>? {
        try table(c) { $0.initialize(repeating: number, count: c) }
    }
}
