// ArchitectureTests: what holds for every family: defaults build, options round-trip, wrong ones are named, seeds decide the bits.
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class ArchitectureTests: XCTestCase {
    /// Small sizes, so that every family builds quickly whatever else is asked of it.
    static let small: [String: Attributes] = [
        "resnet": ["depth": "8"], "cnn": ["width": "4", "input": "16x16x3"], "resnext": ["depth": "11", "width": "4"],
        "inception": ["depth": "8"], "dmrnet": ["depth": "8"], "pyramidnet": ["depth": "8", "alpha": "12"],
        "vgg": ["hidden": "8"],
    ]

    /// Every combination of choices and flags of every family (but the first values, which are not in the description): some depth fits, and the
    /// description reads back as itself.
    func testDescriptionsRoundTripForEveryCombination() throws {
        var combinations = 0
        for family in Architectures.all {
            let free = family.attributes.filter {
                !Self.choices(of: $0).isEmpty && !Self.fixed.contains($0.name)
            }
            for choices in Self.combinations(free[...]) {
                var options = (Self.small[family.name] ?? [:]).merging(choices) { $1 }
                if choices["mapping"] == "custom" { options["mixing"] = "1 0; 0 1" }
                // PyramidNet has no basic blocks behind the large stem; the sentence must name the option.
                if family.name == "pyramidnet", choices["stem"] == "imagenet", choices["block"] == "basic" {
                    assertFails(.invalidArgument, "option 'block'") {
                        try Architectures.describe(family.name, options: options)
                    }
                    continue
                }
                let description = try XCTUnwrap(Self.describe(family, options), "\(family.name) \(options)")
                let again = try NetworkDescription(parsing: description.jsonText)
                XCTAssertEqual(again.jsonText, description.jsonText, "\(family.name) \(options)")
                XCTAssertEqual(again.metadata["renga.architecture"], family.name)
                combinations += 1
            }
        }
        XCTAssertGreaterThan(combinations, 150)
    }

    /// The description with the first depth that fits the other options; refusals must name the depth.
    private static func describe(_ family: any Architecture.Type, _ options: Attributes) -> NetworkDescription? {
        for depth in ["8", "11", "18", "44", "50"] {
            var options = options
            if options["depth"] != nil { options["depth"] = depth }
            do {
                return try Architectures.describe(family.name, options: options)
            } catch {
                XCTAssertTrue(error.message.contains("option 'depth'"), "\(options): \(error.message)")
            }
        }
        return nil
    }

    /// Options that are no part of the description, follow the others, or say more about gates only (StochasticDepthTests).
    private static let fixed = ["init", "depth", "gate_scope", "gate_closed", "gate_init", "survival_decay"]

    private static func choices(of spec: AttributeSpec) -> [String] {
        switch spec.kind {
        case .choice(let words): words.filter { $0 != "auto" }  // which stands for one of the others
        case .flag: ["yes", "no"]
        default: []
        }
    }

    private static func combinations(_ specs: ArraySlice<AttributeSpec>) -> [Attributes] {
        guard let first = specs.first else { return [[:]] }
        return combinations(specs.dropFirst()).flatMap { rest in
            choices(of: first).map { rest.merging([first.name: $0]) { $1 } }
        }
    }

    /// The options that the metadata records make the same network again.
    func testRecordedOptionsMakeTheSameNetwork() throws {
        for family in Architectures.all {
            let first = try Architectures.describe(family.name, options: Self.small[family.name] ?? [:])
            let recorded = try XCTUnwrap(first.metadata["renga.options"])
            let second = try Architectures.describe(family.name, options: Attributes(text: recorded))
            XCTAssertEqual(second.jsonText, first.jsonText)
            XCTAssertEqual(
                Set(try Attributes(text: recorded).keys), Set(family.attributes.map(\.name)), family.name)
        }
    }

    func testDefaultsBuildAndClassify() throws {
        for family in Architectures.all {
            let summary = try NetworkSummary(Architectures.describe(family.name, options: ["classes": "7"]))
            XCTAssertEqual(summary.outputs.map(\.shape), [Shape(n: 1, h: 1, w: 1, c: 7)], family.name)
            XCTAssertEqual(summary.inputs.map(\.shape), [Shape(n: 1, h: 32, w: 32, c: 3)], family.name)
        }
    }

    func testSeedsDecideTheBits() throws {
        let options = Self.small["resnet"] ?? [:]
        let first = try Architectures.make("resnet", options: options, seed: 1)
        let same = try Architectures.make("resnet", options: options, seed: 1)
        let other = try Architectures.make("resnet", options: options, seed: 2)
        XCTAssertEqual(first.parameters.mapValues(\.tensor.values), same.parameters.mapValues(\.tensor.values))
        XCTAssertNotEqual(
            first.parameters["stem.conv1.weight"]?.tensor.values, other.parameters["stem.conv1.weight"]?.tensor.values)
        XCTAssertEqual(Set(try XCTUnwrap(first.parameters["fc.bias"]).tensor.values), [0])
    }

    func testWrongOptionsAreNamed() {
        assertFails(.notFound, "'resnett'", "cnn, resnet") { try Architectures.make("resnett") }
        assertFails(.notFound, "resnet", "'deep'", "depth, widen") {
            try Architectures.make("resnet", options: ["deep": "20"])
        }
        let wrong: [(String, Attributes, [String])] = [
            ("resnet", ["depth": "21"], ["'depth'", "6n+2", "21"]),
            ("resnet", ["depth": "26", "block": "bottleneck"], ["'depth'", "9n+2", "26"]),
            ("resnet", ["depth": "20", "stem": "imagenet"], ["'depth'", "18, 34", "20"]),
            ("resnet", ["depth": "50", "stem": "imagenet", "block": "basic"], ["'depth'", "18, 34"]),
            ("resnet", ["depth": "7"], ["'depth'", "8...2000"]), ("resnet", ["widen": "0"], ["'widen'"]),
            ("resnet", ["classes": "0"], ["'classes'"]), ("resnet", ["order": "both"], ["'order'", "post, pre"]),
            ("resnet", ["input": "32x32"], ["'input'", "HxWxC"]), ("cnn", ["stages": "9"], ["'stages'"]),
            ("pyramidnet", ["alpha": "0.5", "widening": "mul", "depth": "8"], ["'alpha'", "at least 1"]),
            ("pyramidnet", ["block": "basic", "stem": "imagenet"], ["'block'"]),
            ("dmrnet", ["branches": "9"], ["'branches'", "1...8"]),
            ("vgg", ["depth": "12"], ["'depth'", "11, 13, 16, 19"]),
            ("dmrnet", ["depth": "56", "stem": "imagenet"], ["'depth'", "44, 50"]),
            ("dmrnet", ["branches": "0"], ["'branches'", "1...8", "got '0'"]),
            ("inception", ["branches": "0"], ["'branches'", "1...8", "got '0'"]),
            ("resnet", ["classes": "1"], ["'classes'", "2...1000000", "got '1'"]),
            ("pyramidnet", ["alpha": "-1"], ["'alpha'", "0.0...10000.0", "got '-1'"]),
            ("pyramidnet", ["alpha": "nan"], ["'alpha'", "0.0...10000.0", "got 'nan'"]),
            ("pyramidnet", ["depth": "111"], ["'depth'", "6n+2", "got 111"]),
            ("dmrnet", ["depth": "57"], ["'depth'", "6n+2", "got 57"]),
            (
                "pyramidnet", ["alpha": "10000", "widening": "mul", "width": "4096", "depth": "8"],
                ["'alpha'", "262144", "got 10000.0"]
            ),
            ("dmrnet", ["width": "4096", "widen": "64", "depth": "8"], ["'width'=4096", "'widen'=64", "262144"]),
            ("pyramidnet", ["survival": "0"], ["'survival'", "got '0'"]),
            ("pyramidnet", ["survival": "1.5"], ["'survival'", "1.0", "got '1.5'"]),
            ("resnet", ["survival": "-0.1"], ["'survival'", "got '-0.1'"]),
            ("dmrnet", ["mapping": "custom"], ["'mixing'", "2 x 2", "0 numbers"]),
            ("dmrnet", ["mixing": "1 0; 0 1"], ["'mixing'", "mapping=custom"]),
            (
                "dmrnet", ["mapping": "custom", "mixing": "0.5 0.5; 0.5 0.4"],
                ["'mixing'", "idempotent", "0.5 in row 1, column 2", "0.45"]
            ),
            ("resnet", ["init": "zero"], ["'init'", "orthogonal"]),
        ]
        for (name, options, words) in wrong {
            do {
                _ = try Architectures.make(name, options: options)
                XCTFail("\(name) took \(options)")
            } catch {
                XCTAssertEqual(error.status, .invalidArgument, error.message)
                for word in words + [name] { XCTAssertTrue(error.message.contains(word), "\(error.message): \(word)") }
            }
        }
        // An image too small for the stages is an error of the layer that finds nothing left.
        assertFails(.shapeMismatch, "cnn", "stage3.pool") {
            try Architectures.make("cnn", options: ["input": "4x4x1"])
        }
    }

    func testListing() throws {
        let text = try Architectures.listText()
        let json = try JSON(parsing: Architectures.listJSONText())
        let families = try XCTUnwrap(json["architectures"]?.listValue)
        XCTAssertEqual(families.compactMap { $0["name"]?.textValue }, Architectures.all.map { $0.name })
        for family in Architectures.all {
            XCTAssertTrue(text.contains("\(family.name): \(family.documentation)"))
            for spec in family.attributes { XCTAssertTrue(text.contains("  \(spec.name)=")) }
        }
        XCTAssertEqual(try JSON(parsing: Architectures.listJSONText("cnn"))["architectures"]?.listValue?.count, 1)
        assertFails(.notFound, "'x'") { try Architectures.listText("x") }
    }

    func testPlainNetwork() throws {
        let options =
            "stages=2,convolutions=1,width=8,norm=no,head=flatten,hidden=5,dropout=0.25,pool=average,input=8x8x1"
        let network = try Architectures.make("cnn", options: Attributes(text: options))
        XCTAssertEqual(
            network.nodes.map(\.name),
            [
                "stage1.conv1", "stage1.relu1", "stage1.pool", "stage2.conv1", "stage2.relu1", "stage2.pool", "flatten",
                "dropout1", "hidden", "relu_hidden", "dropout", "fc",
            ])
        // 9*8+8, 9*8*16+16, 2*2*16*5+5, 5*10+10
        XCTAssertEqual(try NetworkSummary(network).parameters, 80 + 1168 + 325 + 60)
    }
}
