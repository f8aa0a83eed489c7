// Concat.swift: how a concatenation runs: each input is copied to its channels.
// Not here: producers that write into the wide map themselves.
import RengaNetwork

extension Concat: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src[i] `[N,H,W,C_i]` to its place in dst `[N,H,W,C_0 + C_1 + …]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let dst = try emit.value(step.output)
        let width = emit.shape(step.output).c
        var offset = 0
        for input in step.inputs {
            let c = emit.shape(input).c
            let from = ChannelRange(buffer: try emit.input(input, of: step), c: c, offset: 0)
            try emit.copyChannels(from, to: ChannelRange(buffer: dst, c: width, offset: offset), count: c, step)
            offset += c
        }
    }

    /// Each input gets its channels of ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        let width = emit.shape(step.output).c
        var offset = 0
        for input in step.inputs {
            let c = emit.shape(input).c
            if let dsrc = try emit.gradientTarget(input, of: step) {
                let from = ChannelRange(buffer: ddst, c: width, offset: offset)
                let to = ChannelRange(buffer: dsrc.buffer, c: c, offset: 0)
                try emit.copyChannels(from, to: to, count: c, step, accumulate: dsrc.accumulate, label: "backward")
            }
            offset += c
        }
    }
}
