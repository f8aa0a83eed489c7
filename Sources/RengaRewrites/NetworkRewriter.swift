// NetworkRewriter.swift: copies a network node by node, leaving out, replacing or redirecting some; what every rewrite is written with.
// Not here: which nodes, and why.
import RengaNetwork

/// A network on its way to another: nodes are visited in order, and each either stays, is replaced, or gives its readers another value.
struct NetworkRewriter {
    let source: Network
    private(set) var report: RewriteReport
    private var nodes: [Node] = []
    private var parameters: [String: Parameter] = [:]
    /// Where each value of the source is now; filled in the order of the values.
    private var places: [ValueID]
    private let shapes: [Shape]

    init(_ source: Network, rewrite: String) throws(RengaError) {
        self.source = source
        report = RewriteReport(rewrite: rewrite)
        report.layersBefore = source.nodes.count
        places = Array(source.inputs.indices)
        shapes = try source.shapes(n: 1)
    }

    /// Node `index` stays, reading from where its sources are now.
    mutating func keep(_ index: Int) throws(RengaError) {
        let node = source.nodes[index]
        append(Node(name: node.name, op: node.op, inputs: node.inputs.map { places[$0] }))
        for (name, _) in try source.parameterSpecs(ofNode: index, shapes: shapes) {
            parameters[name] = source.parameters[name]
        }
    }

    /// Node `index` becomes another operator under the same name, with these parameters (by their names inside the layer).
    mutating func replace(_ index: Int, by op: any Operator, _ own: [String: Parameter]) {
        let node = source.nodes[index]
        append(Node(name: node.name, op: op, inputs: node.inputs.map { places[$0] }))
        for (name, parameter) in own { parameters["\(node.name).\(name)"] = parameter }
    }

    /// Node `index` goes; its readers read `value` (of the source) instead.
    mutating func redirect(to value: ValueID) {
        places.append(places[value])
    }

    /// Notes what became of node `index`.
    mutating func note(_ index: Int, _ outcome: RewriteReport.Outcome, _ detail: String) {
        report.entries.append(.init(layer: source.nodes[index].name, outcome: outcome, detail: detail))
    }

    /// The new network and the report; every node must have been visited.
    consuming func finish() throws(RengaError) -> (network: Network, report: RewriteReport) {
        guard places.count == source.structure.valueCount else {
            throw RengaError(.internalFault, "rewrite \(report.rewrite) left out layers of the network")
        }
        report.layersAfter = nodes.count
        let network = try Network(
            inputs: source.inputs, nodes: nodes, outputs: source.outputs.map { places[$0] }, parameters: parameters,
            metadata: source.metadata)
        return (network, report)
    }

    private mutating func append(_ node: Node) {
        places.append(source.inputs.count + nodes.count)
        nodes.append(node)
    }
}
