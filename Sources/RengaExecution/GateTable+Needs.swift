// GateTable+Needs.swift: which gates each value and each convolution's channels depend on, from the structure alone.
// Not here: what follows in a run (GateTable).
import RengaNetwork

extension GateTable {
    /// Convolutions whose only reader is a batch norm with two gates of its own, with the channels of the gate that has fewer, where
    /// those are at most half of them: what else there is to do for every channel would eat up less.
    static func narrowParts(
        _ graph: Graph, _ steps: [FusedStep], _ entries: [Entry], _ entryOfStep: [Int: Int]
    ) -> [Int: NarrowPart] {
        var makers: [ValueID: Int] = [:]
        var readers = [Int](repeating: 0, count: graph.shapes.count)
        for value in graph.outputs + steps.flatMap(\.reads) { readers[value] += 1 }
        var parts: [Int: NarrowPart] = [:]
        for (index, step) in steps.enumerated() {
            makers[step.output] = index
            guard let number = entryOfStep[index], graph.nodes[step.node].op is BatchNorm,
                entries[number].parts == 2, readers[step.inputs[0]] == 1, let maker = makers[step.inputs[0]],
                canNarrow(graph, steps[maker])
            else { continue }
            let c = graph.shapes[step.output].c
            let channels = entries[number].op.channels(c).enumerated().min { $0.element.count < $1.element.count }
            guard let channels, (1..<c / 2 + 1).contains(channels.element.count) else { continue }
            parts[maker] = NarrowPart(entry: number, part: channels.offset, channels: channels.element)
        }
        return parts
    }

    private static func canNarrow(_ graph: Graph, _ step: FusedStep) -> Bool {
        guard let convolution = graph.nodes[step.node].op as? Convolution else { return false }
        return convolution.groups == 1 && !convolution.hasBias && step.nodes == [step.node]
    }

    /// For each value the entries one of which must be open for its contents to matter; nil: they always do.
    static func needs(
        _ graph: Graph, _ steps: [FusedStep], _ entryOfStep: [Int: Int]
    ) -> [ValueID: Set<Int>?] {
        var needs: [ValueID: Set<Int>?] = [:]
        for output in graph.outputs { needs[output] = .some(nil) }
        func join(_ value: ValueID, _ need: Set<Int>?) {
            guard let known = needs[value] else { return needs[value] = .some(need) }
            needs[value] = .some(known.flatMap { known in need.map { known.union($0) } })
        }
        for (index, step) in steps.enumerated().reversed() {
            let own = needs[step.output] ?? nil
            for input in step.inputs { join(input, entryOfStep[index].map { [$0] } ?? own) }
            if let add = step.add { join(add, own) }
        }
        return needs
    }
}
