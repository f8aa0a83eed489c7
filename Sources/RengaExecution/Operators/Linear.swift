// Linear.swift: how a fully connected layer runs, forward and backward: as the 1x1 convolution of a 1x1 map.
// Not here: the kernels' arguments (ConvolutionKernels.swift).
import CRengaKernels
import RengaNetwork

extension Linear: Executable {
    /// As a convolution's.
    package func fusible(_ purpose: Purpose) -> Fusible {
        purpose == .inference ? [.add, .addOfInput, .relu, .prelu] : [.add, .addOfInput, .relu]
    }

    /// src `[N,1,1,C]`, weight `[C,K]`, dst `[N,1,1,K]`.
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

    private func kernels(_ step: FusedStep, _ emit: Emitter) -> ConvolutionKernels {
        let (src, dst) = (emit.shape(step.inputs[0]), emit.shape(step.output))
        let shape = rk_conv_shape(
            n: Int64(src.n), h: 1, w: 1, c: Int64(src.c), k: Int64(dst.c), r: 1, s: 1, stride_h: 1, stride_w: 1,
            pad_top: 0, pad_left: 0, pad_bottom: 0, pad_right: 0, dilation_h: 1, dilation_w: 1, groups: 1, oh: 1, ow: 1)
        return ConvolutionKernels(step: step, shape: shape, macs: macs([src]), hasBias: hasBias)
    }
}
