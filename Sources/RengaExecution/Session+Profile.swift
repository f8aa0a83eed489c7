// Session+Profile.swift: where the time of a session goes, fused step by fused step.
// Not here: anything that decides by it.
import CRengaKernels
public import RengaNetwork

extension Session {
    /// Runs `runs` times (at least once) on zeros with a full batch; each step's time in the fastest run, in order, import and export included.
    public func profile(runs: Int) throws(RengaError) -> [StepProfile] {
        try lock.locked { () throws(RengaError) in
            let sources = try zeros(inputShapes)
            let results = try zeros(outputShapes)
            for (index, args) in plan.imports.enumerated() {
                let view = InputView(data: sources[index].base, shape: inputShapes[index])
                view.describe(to: &args.pointee, nil, nil)
            }
            for (index, args) in plan.exports.enumerated() {
                args.pointee.dst = results[index].floats
                args.pointee.layout = RK_LAYOUT_NHWC
            }
            // The program holds only their addresses: without this the buffers may be released before it runs.
            let seconds = withExtendedLifetime((sources, results)) {
                plan.compiled.program.profile(threads: plan.compiled.threads, runs: runs)
            }
            return summarised(plan.compiled.program.infos, seconds)
        }
    }

    private func zeros(_ shapes: [Shape]) throws(RengaError) -> [Buffer] {
        var buffers: [Buffer] = []
        for shape in shapes { buffers.append(try Buffer(floats: shape.count, for: "the images of a profile")) }
        return buffers
    }

    /// Kernels of the same fused step become one line.
    private func summarised(_ infos: [StepInfo], _ seconds: [Double]) -> [StepProfile] {
        var lines: [StepProfile] = []
        var lastGroup: Int?
        for (info, time) in zip(infos, seconds) {
            let before = info.group != nil && info.group == lastGroup ? lines.popLast() : nil
            lastGroup = info.group
            lines.append(
                StepProfile(
                    name: info.group.map { graph.nodes[fused[$0].node].name } ?? info.name,
                    operation: info.group.map { operation(fused[$0]) } ?? "copy",
                    algorithm: info.algorithm ?? before?.algorithm ?? "", seconds: time + (before?.seconds ?? 0),
                    macs: info.macs.saturatingPlus(before?.macs ?? 0),
                    bytes: info.bytes.saturatingPlus(before?.bytes ?? 0)))
        }
        return lines
    }

    /// "convolution + add + relu".
    private func operation(_ step: FusedStep) -> String {
        step.nodes.map { graph.nodes[$0].op.name }.joined(separator: " + ")
    }
}
