// WeightNamesTests.swift: which tensor of a file is which parameter: tables with stars, PyTorch's and torchvision's names, axes.
// Not here: files (WeightFileTests.swift); the names against torchvision itself (bindings/python/tests).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaFormats

final class WeightNamesTests: XCTestCase {
    /// Their names by ours; nil for those that stay.
    private func names(_ text: String, _ network: Network) throws -> [String: String?] {
        let places = try WeightNames(text: text).places(network)
        return Dictionary(uniqueKeysWithValues: places.map { ($0.ours, $0.stays ? nil : $0.theirs) })
    }

    private func network(_ name: String, _ options: String) throws -> Network {
        try Architectures.make(name, options: Attributes(text: options))
    }

    func testPyTorchNames() throws {
        let resnet = try network("resnet", "depth=8,input=8x8x3")
        let own = try names("", resnet)
        XCTAssert(own.allSatisfy { $0.key == $0.value })
        XCTAssertEqual(try names("renga", resnet), own)
        let pytorch = try names("pytorch", resnet)
        XCTAssertEqual(pytorch["stem.conv1.weight"], "stem.conv1.weight")
        XCTAssertEqual(pytorch["stem.bn1.gamma"], "stem.bn1.weight")
        XCTAssertEqual(pytorch["stem.bn1.beta"], "stem.bn1.bias")
        XCTAssertEqual(pytorch["stem.bn1.running_mean"], "stem.bn1.running_mean")
        XCTAssertEqual(pytorch["stem.bn1.running_variance"], "stem.bn1.running_var")
    }

    func testTorchvisionNames() throws {
        let resnet = try names("torchvision", network("resnet", "depth=50,stem=imagenet,classes=7,input=64x64x3"))
        for (ours, theirs) in [
            "stem.conv1.weight": "conv1.weight", "stem.bn1.running_variance": "bn1.running_var",
            "stage1.block1.conv3.weight": "layer1.0.conv3.weight", "stage4.block3.bn2.beta": "layer4.2.bn2.bias",
            "stage2.block1.shortcut.conv.weight": "layer2.0.downsample.0.weight",
            "stage2.block1.shortcut.bn.gamma": "layer2.0.downsample.1.weight", "fc.bias": "fc.bias",
        ] { XCTAssertEqual(resnet[ours], theirs) }
        XCTAssertEqual(Set(resnet.values.compactMap(\.self)).count, resnet.count)
        let vgg = try network("vgg", "depth=16,classes=3,input=32x32x3,hidden=8")
        for (text, layer) in [
            ("stage1.conv1", "0"), ("stage1.conv2", "3"), ("stage2.conv1", "7"), ("stage5.conv3", "40"),
        ] {
            XCTAssertEqual(try names("torchvision", vgg)["\(text).weight"], "features.\(layer).weight")
        }
        XCTAssertEqual(try names("torchvision", vgg)["stage5.bn3.gamma"], "features.41.weight")
        XCTAssertEqual(try names("torchvision", vgg)["fc2.weight"], "classifier.3.weight")
        let plain = try names("torchvision", network("vgg", "depth=11,norm=no,classes=3,input=32x32x3,hidden=8"))
        XCTAssertEqual(plain["stage5.conv2.bias"], "features.18.bias")
        for (version, fire, index) in [("1.0", 9, 12), ("1.1", 9, 12), ("1.1", 2, 3), ("1.1", 4, 6), ("1.0", 5, 7)] {
            let squeezed = try names("torchvision", network("squeezenet", "version=\(version),classes=3"))
            XCTAssertEqual(squeezed["fire\(fire).expand3.weight"], "features.\(index).expand3x3.weight")
            XCTAssertEqual(squeezed["classifier.bias"], "classifier.1.bias")
            XCTAssertEqual(squeezed["stem.conv1.bias"], "features.0.bias")
        }
        expect(.unsupported, "resnet", "cnn") { _ = try self.names("torchvision", self.network("cnn", "")) }
    }

    func testTables() throws {
        let resnet = try network("resnet", "depth=8,input=8x8x3")
        let table = """
            # a comment, and a blank line

            backbone.*.c*.weight = stage*.conv*.weight
            head.*=fc.*\r
            =stem.*
            moving_*=*.bn1.running_mean, old.*=
            torchvision
            """
        let found = try names(table, resnet)
        XCTAssertEqual(found["stage2.block1.conv1.weight"], "backbone.2.block1.c1.weight")
        XCTAssertEqual(found["fc.bias"], "head.bias")
        XCTAssertEqual(found["stem.conv1.weight"], .some(nil))
        XCTAssertEqual(found["stage1.block1.bn1.running_mean"], "moving_stage1.block1")
        XCTAssertEqual(found["stage1.block1.bn2.running_mean"], "layer1.0.bn2.running_mean")
        // Lines see parameters under PyTorch's names first.
        XCTAssertEqual(try names("x.weight=stem.bn1.weight", resnet)["stem.bn1.gamma"], "x.weight")
        XCTAssertEqual(try names("x=stem.bn1.gamma", resnet)["stem.bn1.gamma"], "x")
        XCTAssertEqual(try names("x=stem.bn1.gamma", resnet)["stem.bn1.beta"], "stem.bn1.bias")
        XCTAssertEqual(try names("renga,x=stem.bn1.gamma", resnet)["stem.bn1.beta"], "stem.bn1.beta")
        let all = try WeightNames(text: table)
        XCTAssert(all.mayStandBeside("old.x"))
        XCTAssert(all.mayStandBeside("bn.num_batches_tracked"))
        XCTAssertFalse(all.mayStandBeside("older.x"))
        XCTAssert(try WeightNames(text: "").mayStandBeside("@velocity"))
        XCTAssertFalse(try WeightNames(text: "").mayStandBeside("bn.num_batches_tracked"))
    }

    func testStarsStandForAnything() throws {
        let cases: [(String, String, String?)] = [
            ("*", "abc", "<abc>"), ("*", "", "<>"), ("a*", "abc", "<bc>"), ("*c", "abcc", "<abc>"), ("a*c", "ab", nil),
            ("abc", "abc", ""), ("abc", "abcd", nil), ("abcd", "abc", nil), ("*b*", "abab", "<a><ab>"),
            ("*.*.*", "1.2.3.4", "<1><2><3.4>"), ("**", "ab", "<><ab>"),
            ("*a*a*b", String(repeating: "a", count: 3000), nil),
        ]
        for (pattern, name, parts) in cases {
            let stars = pattern.utf8.count { $0 == UInt8(ascii: "*") }
            let line = try XCTUnwrap(
                NameLine("\(String(repeating: "<*>", count: stars))=\(pattern)".utf8[...]), pattern)
            XCTAssertEqual(line.theirs(for: name), parts, "\(pattern) \(name)")
        }
    }

    func testBadTablesAreRefused() throws {
        for text in ["=", "a*=b", "a=b*", " = ", "x", "torchvision,pytorch", "renga,renga", "a=b,y"] {
            expect(.invalidArgument, "theirs=ours") { _ = try WeightNames(text: text) }
        }
    }

    func testAxes() throws {
        var builder = NetworkBuilder()
        let image = try builder.addInput("input", h: 2, w: 3, c: 4)
        let up = try builder.add(
            ConvolutionTranspose(channels: 6, window: Window(kernel: 2), groups: 2), name: "up", sources: [image])
        let conv = try builder.add(
            Convolution(channels: 8, window: Window(kernel: 2), groups: 2), name: "conv", sources: [up])
        let flat = try builder.add(Flatten(), name: "flat", sources: [conv])
        let norm = try builder.add(BatchNorm(), name: "norm", sources: [flat])
        let fc = try builder.add(Linear(channels: 5), name: "fc", sources: [norm])
        let last = try builder.add(Linear(channels: 3), name: "last", sources: [fc])
        let network = try builder.build(outputs: [last], initialization: .heFanIn, seed: 1)
        let places = try WeightNames(text: "pytorch").places(network)
        let theirs = Dictionary(uniqueKeysWithValues: places.map { ($0.ours, $0.axes.theirs) })
        XCTAssertEqual(theirs["up.weight"], [4, 3, 2, 2])
        XCTAssertEqual(theirs["conv.weight"], [8, 3, 2, 2])
        XCTAssertEqual(theirs["fc.weight"], [5, 48])
        XCTAssertEqual(theirs["norm.gamma"], [48])
        for place in places {
            let count = place.axes.ours.reduce(1, *)
            let tensor = try Tensor(dimensions: place.axes.ours, values: (0..<count).map { Float($0) })
            let exported = try place.axes.exported(tensor)
            XCTAssertEqual(exported.dimensions, place.axes.theirs)
            XCTAssertEqual(try place.axes.imported(exported).values, tensor.values)
            var pieces: [Float] = []
            try place.axes.export(tensor, pieceBytes: 100) { bytes throws(RengaError) in
                pieces += bytes.bindMemory(to: Float.self)
            }
            XCTAssertEqual(pieces, exported.values, place.ours)
        }
        // The element of row 1, column 2, channel 3 (of 2x3... maps of 2 x 3 x 8): ours 1 * 24 + 2 * 8 + 3.
        let gamma = try XCTUnwrap(places.first { $0.ours == "norm.gamma" })
        let order = try gamma.axes.exported(Tensor(dimensions: [48], values: (0..<48).map { Float($0) })).values
        let (rows, columns) = (2, 3)
        for (row, column, channel) in [(0, 0, 0), (1, 2, 3), (0, 1, 7)] {
            XCTAssertEqual(
                order[(channel * rows + row) * columns + column], Float((row * columns + column) * 8 + channel))
        }
    }

    func testAFlattenWhoseOrderShowsIsRefused() throws {
        var builder = NetworkBuilder()
        let image = try builder.addInput("input", h: 2, w: 3, c: 4)
        let flat = try builder.add(Flatten(), name: "flat", sources: [image])
        let fc = try builder.add(Linear(channels: 5), name: "fc", sources: [flat])
        let fine = try builder.build(outputs: [fc], initialization: .heFanIn, seed: 1)
        XCTAssertNoThrow(try WeightNames(text: "pytorch").places(fine))
        let shows = try builder.build(outputs: [fc, flat], initialization: .heFanIn, seed: 1)
        expect(.unsupported, "flat") { _ = try WeightNames(text: "pytorch").places(shows) }
        XCTAssertNoThrow(try WeightNames(text: "renga").places(shows))
        let part = try builder.add(ChannelSlice(begin: 0, count: 3), name: "part", sources: [flat])
        let sliced = try builder.build(outputs: [fc, part], initialization: .heFanIn, seed: 1)
        expect(.unsupported, "flat") { _ = try WeightNames(text: "pytorch").places(sliced) }
    }
}
