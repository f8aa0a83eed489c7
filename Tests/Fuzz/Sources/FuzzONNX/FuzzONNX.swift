// FuzzONNX.swift: hostile bytes for the import of ONNX files, and what a host would do with the network. Whatever comes: an answer or a
// sentence, never a trap. Begins with the files of ../../corpus/onnx. Not here: the other readers (FuzzFiles).
import FuzzDriver
import Glibc
import Renga

/// One input is one file.
@c
public func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    do {
        let result = try ONNXImport(bytes: UnsafeRawBufferPointer(start: data, count: size))
        // A refusal owes its host the list of nodes.
        guard let network = result.network else {
            if result.refusal.isEmpty { abort() }
            return 0
        }
        try use(network)
    } catch let error as RengaError {
        if error.message.isEmpty || error.status == .internalFault { abort() }
    } catch {
        abort()
    }
    return 0
}

private func use(_ network: Network) throws {
    let summary = try NetworkSummary(network)
    _ = try FoldBatchNorm.apply(network)
    guard summary.macs < 1 << 20, summary.activationBytes < 1 << 22, summary.parameters < 1 << 20 else { return }
    var options = SessionOptions()
    options.threads = 1
    _ = try Session(network, options)
}

@main
private enum FuzzONNX {
    static func main() {
        runFuzzer(LLVMFuzzerTestOneInput)
    }
}
