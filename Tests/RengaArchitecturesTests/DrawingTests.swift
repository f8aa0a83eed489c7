// DrawingTests: what the drawing of a network says: frames for modules, lanes for streams, a box for what runs in a row.
// Not here: how it looks (Graphviz).
import RengaArchitectures
import RengaNetwork
import XCTest

final class DrawingTests: XCTestCase {
    private func dot(_ family: String, _ options: String) throws -> String {
        try NetworkSummary(Architectures.describe(family, options: Attributes(text: options))).dot
    }

    func testModulesAreFrames() throws {
        let dot = try dot("dmrnet", "depth=14,branches=3")
        for module in ["stem", "stage1", "stage2.block1", "stage3.block2.branch3", "stage2.block1.shortcut2"] {
            XCTAssertEqual(dot.components(of: "subgraph \"cluster_\(module)\" {"), 1, module)
        }
        XCTAssertEqual(dot.components(of: "{"), dot.components(of: "}"))
    }

    func testStreamsAreLanes() throws {
        let dot = try dot("dmrnet", "depth=14,branches=3")
        let node = { (name: String) in dot.split(separator: "\n").first { $0.contains("\"\(name)\" [") } ?? "" }
        XCTAssertTrue(node("stage1.block2.branch2.conv1").contains("group=\"stream2\""))
        XCTAssertTrue(node("stage1.block2.add2").contains("group=\"stream2\""))
        XCTAssertFalse(node("stage1.block2.mean").contains("group="))
        XCTAssertTrue(dot.contains("\"stage1.block1.branch3.conv2\" -> \"stage1.block1.add3\" [weight=8];"))
        // Networks of one stream have no lanes: their numbers name layers.
        XCTAssertFalse(try self.dot("resnet", "depth=8").contains("group="))
    }

    func testWhatRunsInARowIsOneBox() throws {
        let dot = try dot("resnet", "depth=8,input=16x16x3")
        XCTAssertTrue(
            dot.contains("\"stage2.block1.conv1\" [label=\"conv 3x3, 32, stride 2\\nbatch norm\\nReLU\\n8x8x32\""))
        XCTAssertFalse(dot.contains("\"stage2.block1.bn1\" ["))
        XCTAssertTrue(dot.contains("\"stage2.block1.conv1\" -> \"stage2.block1.conv2\""))
        // A sum and the ReLU behind it are one; both readers of a block's result are drawn.
        XCTAssertTrue(dot.contains("\"stage1.block1.add\" [label=\"+\\nReLU\", shape=ellipse"))
        XCTAssertTrue(dot.contains("\"stage1.block1.add\" -> \"stage2.block1.shortcut.subsample\""))
    }

    func testGatesSayHowOftenTheyAreOpen() throws {
        let joint = try dot("dmrnet", "depth=8,stochastic_depth=joint")
        XCTAssertEqual(joint.components(of: "gate\\nopen 83 %"), 2)
        XCTAssertEqual(joint.components(of: "gate\\nopen 50 %"), 2)
        let separate = try dot("pyramidnet", "depth=8,alpha=9,stochastic_depth=separate")
        XCTAssertEqual(separate.components(of: "gates\\nopen 83 %, 83 %\\nchannels 0-15, 16-18"), 1)
    }

    /// Every layer is in exactly one box, and every arrow ends at a box.
    func testNothingIsLost() throws {
        for (family, options) in [
            ("pyramidnet", "depth=8,alpha=6"), ("dmrnet", "depth=8"), ("squeezenet", "version=1.1"),
            ("vgg", "depth=11"),
        ] {
            let summary = try NetworkSummary(Architectures.describe(family, options: Attributes(text: options)))
            let lines = summary.dot.split(separator: "\n").map(String.init)
            let drawn = lines.filter { $0.contains("tooltip=") }.flatMap { line in
                (line.split(separator: "\"", omittingEmptySubsequences: false).dropLast().last ?? "").split(
                    separator: ","
                )
                .map { String($0.drop { $0 == " " }) }
            }
            XCTAssertEqual(drawn.sorted(), summary.layers.map(\.name).sorted(), family)
            let nodes = Set(lines.filter { $0.contains(" [") && !$0.contains("->") }.compactMap { $0.quoted(0) })
            for line in lines where line.contains(" -> ") {
                for end in 0...1 {
                    XCTAssertTrue(nodes.contains(line.quoted(end) ?? ""), "\(family): \(line)")
                }
            }
        }
    }
}

extension String {
    /// How often `part` stands in it.
    fileprivate func components(of part: String) -> Int {
        var (count, rest) = (0, self[...])
        while let found = rest.firstRange(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }

    /// The `index`-th text in quotation marks.
    fileprivate func quoted(_ index: Int) -> String? {
        let parts = split(separator: "\"", omittingEmptySubsequences: false)
        return parts.indices.contains(2 * index + 1) ? String(parts[2 * index + 1]) : nil
    }
}
