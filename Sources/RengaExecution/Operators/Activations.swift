// Activations.swift: how ReLU and PReLU run where no step before them could take them in.
// Not here: their fused forms (ConvolutionKernels.swift, BatchNorm.swift, Sums.swift).
import CRengaKernels
import RengaNetwork

extension ReLU: Executable {
    /// dst = max(src, 0).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.value(step.inputs[0]), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let floats = emit.shape(step.output).count
        try emit.add(rk_sum, emit.sum(of: [emit.pointer(src)], to: emit.pointer(dst), floats: floats, relu: true))
    }

    /// dsrc = ddst where dst > 0.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0]) else { return }
        let ddst = try emit.gradient(step.output)
        if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
        var args = rk_relu_backward_args()
        args.isa = emit.isa
        args.count = Int64(emit.shape(step.output).count)
        args.dst = UnsafePointer(emit.pointer(try emit.value(step.output)))
        args.ddst = UnsafePointer(emit.pointer(ddst))
        args.scale = 1
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = emit.pointer(dsrc.buffer)
        try emit.add(rk_relu_backward, args, "backward")
    }
}

extension PReLU: Executable {
    /// dst = src where src > 0, else slope[c] src; maps `[N,H,W,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.value(step.inputs[0]), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let shape = emit.shape(step.output)
        var args = rk_prelu_args()
        (args.isa, args.rows, args.c) = (emit.isa, Int64(shape.rows), Int64(shape.c))
        args.src = UnsafePointer(emit.pointer(src))
        args.slope = UnsafePointer(emit.pointer(try emit.parameter(step.node, "slope")))
        args.dst = emit.pointer(dst)
        try emit.add(rk_prelu, args)
    }

    /// dsrc and dslope, from src.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        var args = rk_prelu_backward_args()
        (args.isa, args.rows, args.c) = (emit.isa, Int64(shape.rows), Int64(shape.c))
        args.src = UnsafePointer(emit.pointer(try emit.value(step.inputs[0])))
        args.slope = UnsafePointer(emit.pointer(try emit.parameter(step.node, "slope")))
        args.ddst = UnsafePointer(emit.pointer(try emit.gradient(step.output)))
        if let dsrc = try emit.gradientTarget(step.inputs[0]) {
            args.accumulate = dsrc.accumulate ? 1 : 0
            args.dsrc = emit.pointer(dsrc.buffer)
        }
        args.dslope = emit.parameterGradient(step.node, "slope")
        args.scratch = emit.scratch(rk_batch_norm_scratch(args.rows, args.c))
        try emit.add(rk_prelu_backward, args, "backward")
    }
}
