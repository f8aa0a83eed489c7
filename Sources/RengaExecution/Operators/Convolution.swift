// Convolution.swift: how a convolution runs, forward and backward.
// Not here: the kernels' arguments (ConvolutionKernels.swift, shared with the fully connected layer).
import CRengaKernels
import RengaNetwork

extension Convolution: Executable {
    /// Sum, activation and pooling run in the epilogue, but for a sum with fewer channels, which follows. PReLU needs its own
    /// input for the backward pass, so not in training.
    package func fusible(_ purpose: Purpose) -> Fusible {
        let sums: Fusible = [.add, .addOfInput, .addOfFewer]
        return sums.union(purpose == .inference ? [.relu, .prelu, .bounded, .pool, .addOfMean] : [.relu, .gate])
    }

    /// src `[N,H,W,C]`, weight `[R,S,C/G,K]`, dst `[N,OH,OW,K]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).forward(emit)
    }

    /// Images apart, where weights are small.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        kernels(step, emit).locality(emit)
    }

    /// Packed weights.
    package func prepare(_ step: FusedStep, _ emit: Emitter, backward: Bool) throws(RengaError) {
        try kernels(step, emit).prepare(emit, backward: backward)
    }

    /// dweight, dbias, dsrc.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).backward(emit)
    }

    func kernels(_ step: FusedStep, _ emit: Emitter) -> ConvolutionKernels {
        let (src, dst) = (emit.shape(step.inputs[0]), emit.shape(step.unpooled(in: emit.graph)))
        var shape = rk_conv_shape()
        (shape.n, shape.h, shape.w, shape.c) = (Int64(src.n), Int64(src.h), Int64(src.w), Int64(src.c))
        (shape.k, shape.r, shape.s) = (Int64(dst.c), Int64(window.kernelH), Int64(window.kernelW))
        (shape.stride_h, shape.stride_w) = (Int64(window.strideH), Int64(window.strideW))
        (shape.pad_top, shape.pad_left) = (Int64(window.padTop), Int64(window.padLeft))
        (shape.pad_bottom, shape.pad_right) = (Int64(window.padBottom), Int64(window.padRight))
        (shape.dilation_h, shape.dilation_w) = (Int64(window.dilationH), Int64(window.dilationW))
        (shape.groups, shape.oh, shape.ow) = (Int64(groups), Int64(dst.h), Int64(dst.w))
        return ConvolutionKernels(step: step, shape: shape, macs: macs([src]), hasBias: hasBias)
    }
}
