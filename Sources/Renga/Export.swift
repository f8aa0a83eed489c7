// Export.swift: networks for other programs: made for inference, then written.
// Not here: the format (RengaFormats), the rewrites (RengaRewrites).

extension Network {
    /// Writes the network as ONNX, for inference: gates and, by option, batch norms are folded into other layers, dropout is left out.
    /// Errors: those of ``ONNXExport/save(_:to:options:)``.
    public func exportONNX(to path: String, options: ONNXExportOptions) throws(RengaError) {
        let folded = try options.foldsBatchNorm ? FoldBatchNorm.apply(self).network : FoldBatchNorm.gates(self)
        try ONNXExport.save(folded, to: path, options: options)
    }
}
