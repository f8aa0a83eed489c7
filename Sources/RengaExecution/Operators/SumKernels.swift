// SumKernels.swift: what sum and mean share: both passes of a scaled sum with an optional ReLU.
// Not here: the operators (Add.swift, Mean.swift).
import CRengaKernels
import RengaNetwork

/// A scaled sum of any number of maps.
struct SumKernels {
    let step: FusedStep
    let scale: Float

    /// The kernel takes so many terms at once: longer sums are carried on in dst, and scaled and rectified at the end.
    func forward(_ emit: Emitter) throws(RengaError) {
        let dst = try emit.value(step.output)
        let floats = emit.shape(step.output).count
        var rest = step.inputs[...]
        var isFirst = true
        while isFirst || !rest.isEmpty {
            let taken = rest.prefix(Int(RK_MAX_SUM) - (isFirst ? 0 : 1))
            rest = rest.dropFirst(taken.count)
            var terms = isFirst ? [] : [emit.pointer(dst)]
            for value in taken {
                let src = try emit.value(value)
                if isFirst { emit.mayReplace(src, by: dst) }
                terms.append(emit.pointer(src))
            }
            let args = emit.sum(
                of: terms, to: emit.pointer(dst), floats: floats, scale: rest.isEmpty ? scale : 1,
                relu: rest.isEmpty && step.activation == .relu)
            try emit.add(rk_sum, args)
            isFirst = false
        }
    }

    func backward(_ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        if step.activation == .relu {
            try emit.maskGradient(step.output, scale: scale)
        } else if scale != 1 {
            try emit.scaleGradient(ddst, floats: emit.shape(step.output).count, by: scale)
        }
        for input in step.inputs { try emit.passGradient(ddst, to: input) }
    }
}
