// PathLengthTests: how many layers lie on the paths through residual, inception-like and merge-and-run networks (Zhao et al., section 3).
// Not here: what the paths compute.
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaArchitectures

final class PathLengthTests: XCTestCase {
    /// Paths by length: counts[j] paths with j layers.
    private typealias Counts = [Double]

    private func sum(_ a: Counts, _ b: Counts) -> Counts {
        (0..<max(a.count, b.count)).map {
            (a.indices.contains($0) ? a[$0] : 0) + (b.indices.contains($0) ? b[$0] : 0)
        }
    }

    /// Counted along the graph, by the definition: a slow twin of `PathLength`.
    private func counts(_ structure: NetworkStructure, to value: ValueID) -> Counts {
        var all: [Counts] = structure.inputs.map { _ in [1] }
        for node in structure.nodes {
            let joined = node.inputs.reduce([]) { sum($0, all[$1]) }
            let isProjection = node.name.contains("shortcut")
            let isLayer = (node.op is Convolution && !isProjection) || node.op is Linear
            all.append(isLayer ? [0] + joined : joined)
        }
        return all[value]
    }

    private func moments(_ counts: Counts) -> (mean: Double, deviation: Double) {
        let total = counts.reduce(0, +)
        let mean = counts.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } / total
        let variance = counts.enumerated().reduce(0) { $0 + pow(Double($1.offset) - mean, 2) * $1.element } / total
        return (mean, variance.squareRoot())
    }

    /// K streams that differ from the beginning through `blocks` merge-and-run blocks of one stage.
    private func streams(_ branches: Int, blocks: Int, options: String = "") throws -> (NetworkStructure, ValueID) {
        let reader = try AttributeReader(
            Attributes(text: "width=2,branches=\(branches)" + options), DMRNet.attributes, owner: "dmrnet")
        let design = try MergeAndRunDesign(reader)
        var stack = LayerStack()
        var streams: [ValueID] = []
        for k in 0..<branches { streams.append(try stack.input(ImageSize(h: 4, w: 4, c: 2), name: "stream\(k)")) }
        let place = BlockPlace(width: 2, stride: 1, number: 2, count: 3)
        for block in 0..<blocks {
            streams = try stack.scope("block\(block)") { stack throws(RengaError) in
                try design.addBlock(&stack, streams, place)
            }
        }
        return (try stack.builder.structure(outputs: [streams[0]]), streams[0])
    }

    /// new[j + B] += old[j], new[j] += K old[j]: one path through the own branch, K arrivals of identities.
    func testDistributionOfStreams() throws {
        for branches in [2, 3, 4] {
            for blocks in [1, 2, 5, 9] {
                var expected: Counts = [1]
                for _ in 0..<blocks {
                    expected = sum(expected.map { Double(branches) * $0 }, [0, 0] + expected)
                }
                let (structure, output) = try streams(branches, blocks: blocks)
                XCTAssertEqual(counts(structure, to: output), expected, "K = \(branches), \(blocks) blocks")
                let found = try NetworkSummary(NetworkDescription(structure)).pathLength
                let wanted = moments(expected)
                assertClose(found.mean, wanted.mean, tolerance: 1e-9)
                assertClose(found.deviation, wanted.deviation, tolerance: 1e-9)
            }
        }
    }

    /// Inception-like: new[j + B] += K old[j], new[j] += old[j]; residual: one each; and + 2 for the first and the last layer.
    func testDistributionOfNetworks() throws {
        for (family, options, perBranch) in [
            ("inception", "depth=20", 2.0), ("inception", "depth=20,branches=3", 3), ("resnet", "depth=20", 1),
        ] {
            let structure = try Architectures.describe(family, options: Attributes(text: options)).structure
            var expected: Counts = [0, 0, 1]
            for _ in 0..<9 { expected = sum(expected, [0, 0] + expected.map { perBranch * $0 }) }
            XCTAssertEqual(counts(structure, to: structure.outputs[0]), expected, options)
        }
    }

    /// l blocks (ResNet: 2 l) of B = 2 layers: B l + 2, (2 B / 3) l + 2 and (B / 3) l + 2 layers on average, spread as the papers' figure says.
    func testPublishedMoments() throws {
        for (blocks, residual, inception, merged) in [
            (9, (20.0, 4.24), (14.0, 2.83), (8.0, 2.83)), (24, (50, 6.93), (34, 4.62), (18, 4.62)),
        ] {
            func check(_ found: PathLength, plus layers: Double = 0, _ wanted: (Double, Double), _ what: String) {
                assertClose(found.mean + layers, wanted.0, tolerance: 1e-9, what)
                assertClose(found.deviation, wanted.1, tolerance: 0.005, what)
            }
            func network(_ family: String, _ depth: Int) throws -> PathLength {
                try NetworkSummary(Architectures.describe(family, options: ["depth": "\(depth)"])).pathLength
            }
            check(try network("resnet", 4 * blocks + 2), residual, "resnet")
            check(try network("inception", 2 * blocks + 2), inception, "inception")
            let (structure, _) = try streams(2, blocks: blocks)
            check(try NetworkSummary(NetworkDescription(structure)).pathLength, plus: 2, merged, "dmrnet")
        }
    }

    /// In a whole network the first block finds the streams still one, and the last one sums them: both weigh branch and identity alike.
    func testWholeMergeAndRunNetwork() throws {
        let description = try Architectures.describe("dmrnet", options: ["depth": "20"])
        let found = try NetworkSummary(description)
        assertClose(found.pathLength.mean, 1 + 7 * 2.0 / 3 + 1 + 2, tolerance: 1e-9)
        let structure = description.structure
        let counted = moments(counts(structure, to: structure.outputs[0]))
        assertClose(found.pathLength.deviation, counted.deviation, tolerance: 1e-9)
        XCTAssertTrue(found.text.contains("8.67 ± "), String(found.text.suffix(200)))
    }

    /// More paths than any number holds: 3^749.
    func testVeryDeepNetworks() throws {
        let found = try NetworkSummary(Architectures.describe("dmrnet", options: ["depth": "1502"]))
        XCTAssertTrue(found.pathLength.mean > 100 && found.pathLength.mean < 1502)
    }

    func testJSON() throws {
        let summary = try NetworkSummary(Architectures.describe("resnet", options: ["depth": "38"]))
        let json = try JSON(parsing: summary.jsonText)
        XCTAssertEqual(json["path_length"]?["mean"]?.numberValue, 20)
        XCTAssertEqual(json["layers"]?.listValue?.last?["path_length"]?.numberValue, 20)
    }
}
