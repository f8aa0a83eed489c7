// PoolKernels.swift: what the windowed poolings share: both passes.
// Not here: the operators (MaxPool.swift, AveragePool.swift).
import CRengaKernels
import RengaNetwork

/// What both windowed poolings share.
struct PoolKernels {
    let step: FusedStep
    let window: Window
    let countIncludePad: Bool

    func forward(_ emit: Emitter, _ run: @escaping StepFunction) throws(RengaError) {
        var args = rk_pool_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.shape, args.count_include_pad) = (shape(emit), countIncludePad ? 1 : 0)
        args.src = UnsafeRawPointer(emit.pointer(try emit.input(step.inputs[0], of: step)))
        args.dst = emit.pointer(try emit.value(step.output))
        try emit.add(run, args)
    }

    func backward(_ emit: Emitter, _ run: @escaping StepFunction, readsSource: Bool) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = rk_pool_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.shape, args.count_include_pad) = (shape(emit), countIncludePad ? 1 : 0)
        args.accumulate = dsrc.accumulate ? 1 : 0
        if readsSource { args.src = UnsafeRawPointer(emit.pointer(try emit.input(step.inputs[0], of: step))) }
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        args.dsrc = emit.pointer(dsrc.buffer)
        try emit.add(run, args, "backward")
    }

    private func shape(_ emit: Emitter) -> rk_pool_shape {
        let (src, dst) = (emit.shape(step.inputs[0]), emit.shape(step.output))
        return rk_pool_shape(
            n: Int64(src.n), h: Int64(src.h), w: Int64(src.w), c: Int64(src.c), r: Int64(window.kernelH),
            s: Int64(window.kernelW), stride_h: Int64(window.strideH), stride_w: Int64(window.strideW),
            pad_top: Int64(window.padTop), pad_left: Int64(window.padLeft), pad_bottom: Int64(window.padBottom),
            pad_right: Int64(window.padRight), dilation_h: Int64(window.dilationH),
            dilation_w: Int64(window.dilationW), oh: Int64(dst.h), ow: Int64(dst.w))
    }
}
